#!/bin/sh
# Programs nobody here wrote that the tests run beside ours: Postfix, Dovecot, promtool, SoftHSM with OpenSC's module
# that writes every call to it down. Where they cannot be installed (not root, not Debian, no package source) those tests skip and say so.
missing=
command -v postfix >/dev/null 2>&1 || missing="$missing postfix"
command -v dovecot >/dev/null 2>&1 || missing="$missing dovecot-imapd"
command -v promtool >/dev/null 2>&1 || missing="$missing prometheus"
command -v softhsm2-util >/dev/null 2>&1 || missing="$missing softhsm2"
ls /usr/lib/*/pkcs11-spy.so >/dev/null 2>&1 || missing="$missing opensc-pkcs11"
[ -n "$missing" ] || exit 0
[ "$(id -u)" = 0 ] && [ -f /etc/debian_version ] && command -v apt-get >/dev/null 2>&1 || exit 0
echo "· installing$missing from Debian's packages for the tests"
# The packages must not start servers of their own on this machine.
policy=/usr/sbin/policy-rc.d
[ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' > "$policy" && chmod +x "$policy" && made=1; }
export DEBIAN_FRONTEND=noninteractive
# One by one: a package that this release does not have must not keep the others out.
{ apt-get update -q && for package in $missing; do apt-get install -q -y --no-install-recommends "$package" || failed=1; done; } \
  >/tmp/kepgw-peers.log 2>&1 || failed=1
[ -z "$failed" ] || echo "· not all could be installed (see /tmp/kepgw-peers.log); their tests will skip"
[ -n "$made" ] && rm -f "$policy"
exit 0
