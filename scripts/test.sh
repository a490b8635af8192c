# SPDX-License-Identifier: MIT
# test.sh - builds weft in each way that finds mistakes, and runs all tests
#
# On a fresh Debian 12 this is the only command needed: it gets the packages
# too.  It goes on after a failure, and ends with what failed and with a count.
set -u
cd "$(dirname "$0")/.." || exit 1

# Some tests want a gigabyte more of tools; where nobody waits, they get it.
sh scripts/packages.sh build test ${CI:+extra} || exit 1

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# A workflow stops at the step that fails: a build that fails has no count.
for workflow in check asan tsan release; do
	echo
	echo "== $workflow: cmake --workflow --preset $workflow"
	{
		cmake --workflow --preset "$workflow" 2>&1 || echo "== $workflow failed"
	} | tee -a "$log"
done

echo
echo "== summary"
awk '
	/^== .* failed$/ { failed = 1; print }
	/tests passed, .* tests failed out of/ { print; bad += $4; all += $NF }
	END {
		good = all ? 100 * (all - bad) / all : 0
		printf "%d%% tests passed, %d tests failed out of %d, in all builds\n", good, bad, all
		exit failed || bad || !all
	}' "$log"
