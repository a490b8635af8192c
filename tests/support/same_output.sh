# SPDX-License-Identifier: MIT
# same_output.sh EXPECTED COMMAND... - runs COMMAND and compares what it prints
expected=$1
shift
"$@" | diff -u "$expected" -
