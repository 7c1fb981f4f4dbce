#!/bin/sh
# Makes the secret files that compose.yaml mounts, with random values. What is there already stays as it is. The image
# makes the console's account, so that nothing but Docker is needed.
set -eu
cd "$(dirname "$0")"
[ -f .env ] || cp .env.example .env
mkdir -p secrets/logins
chmod 700 secrets # the files are read by the containers' own users; this folder keeps others on this machine out
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
make_secret() { # make_secret NAME VALUE
  [ -f "secrets/$1" ] || { printf '%s' "$2" >"secrets/$1.new"; chmod 644 "secrets/$1.new"; mv "secrets/$1.new" "secrets/$1"; }
}
mongodb_uri() { # mongodb_uri USER PASSWORD
  printf '%s' "mongodb://$1:$2@mongodb:27017/?replicaSet=rs0&authSource=admin"
}
login() { # login PRINCIPAL: a folder of files with the names of settings; jaas.conf is for Java's processes
  mkdir -p "secrets/logins/$1"
  make_secret "logins/$1/pointsman_kafka_sasl_username" "$1"
  make_secret "logins/$1/pointsman_kafka_sasl_password" "$(random)"
  make_secret "logins/$1/mongodb_password" "$(random)"
  make_secret "logins/$1/mongodb_uri" "$(mongodb_uri "$1" "$(cat "secrets/logins/$1/mongodb_password")")"
  # Flink's SQL connector carries Kafka's client along under names of its own.
  inside=
  [ "$1" = pointsman-router ] && inside=org.apache.flink.kafka.shaded.
  make_secret "logins/$1/jaas.conf" "KafkaClient {
  ${inside}org.apache.kafka.common.security.scram.ScramLoginModule required
  username=\"$1\"
  password=\"$(cat "secrets/logins/$1/pointsman_kafka_sasl_password")\";
};
"
}

make_secret mongodb_password "$(random)"
make_secret mongodb_keyfile "$(random)"
make_secret openai_api_key ""
make_secret pointsman_encryption_keys ""
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

# One login per process. Agents are those of compose.yaml.
for name in router operator console connect archive sweeper metrics; do login "pointsman-$name"; done
for name in $(sed -n 's/^  agent-\([a-z0-9_]*\):.*/\1/p' compose.yaml | tr _ -); do login "agent-$name"; done

# The administrator of both; the one of MongoDB is the user that its image makes.
admin=pointsman-admin
mkdir -p "secrets/logins/$admin"
make_secret "logins/$admin/pointsman_kafka_sasl_username" "$admin"
make_secret "logins/$admin/pointsman_kafka_sasl_password" "$(random)"
make_secret "logins/$admin/mongodb_uri" "$(mongodb_uri pointsman "$(cat secrets/mongodb_password)")"
password=$(cat "secrets/logins/$admin/pointsman_kafka_sasl_password")
plain=org.apache.kafka.common.security.plain.PlainLoginModule
make_secret kafka_jaas "KafkaServer {
  $plain required username=\"$admin\" password=\"$password\" user_$admin=\"$password\";
  org.apache.kafka.common.security.scram.ScramLoginModule required;
};
"
make_secret kafka_admin "security.protocol=SASL_PLAINTEXT
sasl.mechanism=PLAIN
sasl.jaas.config=$plain required username=\"$admin\" password=\"$password\";
"
