# shellcheck shell=bash
# For a build.sh that makes servers out of the packages that Maven serves. Needs $out, and JAVA_HOME of a JDK.

fetch() { # FOLDER GROUP ARTIFACT VERSION: the server with all that it needs, and the launcher
  mvn -B -q -f ../opensearch/pom.xml "-Drunner.group=$2" "-Drunner.artifact=$3" "-Drunner.version=$4" \
    dependency:copy-dependencies "-DoutputDirectory=$out/$1/lib"
  launcher "$1" "$2" "$3"
}

launcher() { # FOLDER GROUP ARTIFACT: the launcher in a jar, as the AOT cache wants no folder on the class path
  local classes=$out/$1/classes
  mkdir -p "$classes"
  # The two runners are alike but for their name.
  if [[ $3 == elasticsearch* ]]; then
    sed 's/opensearch\.runner/elasticsearch.runner/; s/OpenSearchRunner/ElasticsearchClusterRunner/g' \
      ../opensearch/SearchNode.java >"$classes/SearchNode.java"
  else
    cp ../opensearch/SearchNode.java "$classes"
  fi
  "$JAVA_HOME/bin/javac" --release 17 -cp "$out/$1/lib/*" -d "$classes" "$classes/SearchNode.java"
  rm "$classes/SearchNode.java"
  "$JAVA_HOME/bin/jar" --create --file "$out/$1/node.jar" -C "$classes" .
  rm -r "$classes"
}

copy() { # GROUP:ARTIFACT:VERSION[:TYPE] DIRECTORY
  (cd "$out" && mvn -B -q dependency:copy "-Dartifact=$1" "-DoutputDirectory=$2") # where no pom.xml is
}
