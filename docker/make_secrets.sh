#!/bin/sh
# Makes the secret files that compose.yaml mounts, with random values. What is there already stays as it is. The image
# makes the console's account, so that nothing but Docker is needed.
set -eu
cd "$(dirname "$0")"
[ -f .env ] || cp .env.example .env
mkdir -p secrets
chmod 700 secrets # the files are read by the containers' own users; this folder keeps others on this machine out
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
make_secret() { # make_secret NAME VALUE
  [ -f "secrets/$1" ] || { printf '%s' "$2" >"secrets/$1.new"; chmod 644 "secrets/$1.new"; mv "secrets/$1.new" "secrets/$1"; }
}
make_secret mongodb_password "$(random)"
make_secret mongodb_keyfile "$(random)"
make_secret mongodb_uri "mongodb://pointsman:$(cat secrets/mongodb_password)@mongodb:27017/?replicaSet=rs0&authSource=admin"
make_secret openai_api_key ""
make_secret pointsman_mail_unsubscribe_secret "$(random)"
make_secret pointsman_console_session_secret "$(random)"
make_secret pointsman_console_oidc_client_secret ""
if [ ! -f secrets/pointsman_console_accounts ]; then
  # Only the hash of the key is kept; the key itself is shown now, on stderr, and never again.
  docker build --quiet --tag pointsman --file pointsman.Dockerfile .. >/dev/null
  accounts=$(docker run --rm pointsman pointsman console account add operator --role operator)
  make_secret pointsman_console_accounts "$accounts"
fi
make_secret grafana_password "$(random)"
