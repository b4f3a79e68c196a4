#!/bin/sh
# Makes the secrets of docker-compose.yml, each in a file, where there are none yet. Keep them: the database and the disks know them.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
cd secrets
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
# The folder is for its owner alone; processes in containers, which are others, read the files that they are given.
keep() { [ -s "$1" ] || { printf '%s' "$2" >"$1" && chmod 444 "$1"; }; }

keep disk_secret "$(random)"
keep grafana_password "$(random)"
keep postgres_password "$(random)"
keep service_password "$(random)"
keep nats_password "$(random)"
keep nats_route_password "$(random)"
keep database_owner_url "postgres://tritontube:$(cat postgres_password)@database:5432/tritontube"
keep database_url "postgres://tritontube_service:$(cat service_password)@database:5432/tritontube"
keep nats_url "nats://tritontube:$(cat nats_password)@nats:4222"
keep nats_users "authorization { user: tritontube, password: \"$(cat nats_password)\" }"
route() { printf 'nats-route://route:%s@%s:6222' "$(cat nats_route_password)" "$1"; }
keep nats_routes "authorization { user: route, password: \"$(cat nats_route_password)\" }
routes: [$(route nats1), $(route nats2), $(route nats3)]"
