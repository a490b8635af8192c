# SPDX-License-Identifier: MIT
# What libweft.so shows to the dynamic linker: weft_* and nothing internal, no
# allocator among its needs, no text relocations, no executable stack, a soname.
library=$WEFT_BINARY_DIR/libweft.so
failed=0

no() {
	echo "$1"
	failed=1
}

foreign=$(nm -D --defined-only "$library" | awk '{ print $3 }' | grep -v "^weft_[^_]" |
	grep -v "^WEFT_0")
test -z "$foreign" || no "exported, but not weft's public names: $foreign"
nm -D --defined-only "$library" | grep -q ' weft_run_sync' || no "weft_run_sync is not exported"

dynamic=$(readelf -dW "$library")
echo "$dynamic" | grep -q 'NEEDED.*jemalloc' && no "needs jemalloc"
echo "$dynamic" | grep -q 'TEXTREL' && no "has text relocations"
echo "$dynamic" | grep -q 'SONAME.*\[libweft\.so\.[0-9]*\]' || no "has no soname"
echo "$dynamic" | grep -q 'FLAGS_1.*NODELETE' || no "can be unloaded under running workers"
readelf -lW "$library" | grep 'GNU_STACK' | grep -q 'RWE' && no "wants an executable stack"

exit $failed
