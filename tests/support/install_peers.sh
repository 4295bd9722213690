#!/bin/sh
# Postfix and Dovecot for the tests that need mail servers nobody here wrote. Where they cannot be
# installed (not root, not Debian, no package source) those tests skip and say so.
command -v dovecot >/dev/null 2>&1 && command -v postfix >/dev/null 2>&1 && exit 0
[ "$(id -u)" = 0 ] && [ -f /etc/debian_version ] && command -v apt-get >/dev/null 2>&1 || exit 0
echo "· installing Postfix and Dovecot from Debian's packages for the tests"
# The packages must not start a mail server of their own on this machine.
policy=/usr/sbin/policy-rc.d
[ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' > "$policy" && chmod +x "$policy" && made=1; }
export DEBIAN_FRONTEND=noninteractive
{ apt-get update -q && apt-get install -q -y --no-install-recommends postfix dovecot-imapd; } >/tmp/kepgw-peers.log 2>&1 \
  || echo "· they could not be installed (see /tmp/kepgw-peers.log); their tests will skip"
[ -n "$made" ] && rm -f "$policy"
exit 0
