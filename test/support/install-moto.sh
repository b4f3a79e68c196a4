#!/bin/sh
# Installs moto, which speaks S3, for the tests of that: Debian's package, from a release that has it, in a folder of its own. As root; some 50 s.
set -eu
apt_get() { DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=500 "$@"; }
command -v mmdebstrap >/dev/null || { apt_get update && apt_get install -y --no-install-recommends mmdebstrap; }
[ -d /opt/moto/usr ] || mmdebstrap --quiet --variant=minbase --dpkgopt=force-unsafe-io \
  --include=python3-moto,python3-flask,python3-flask-cors,python3-openssl trixie /opt/moto
printf '#!/bin/sh\nexec chroot /opt/moto python3 -m moto.server "$@"\n' >/usr/local/bin/moto_server
chmod +x /usr/local/bin/moto_server
