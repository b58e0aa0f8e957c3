#!/bin/sh
PATH=/usr/bin:/bin
d=@DIR@; c=$HOME/.openclaw/openclaw.json
printf '%s\n' "$*" | sed 's#[^ ]*/plan.json#PLAN#' >> "$d/calls"
[ -f "$d/hook" ] && . "$d/hook"
agent=main; provider=; prev=; last=
for word; do
  [ "$prev" = --agent ] && agent=$word
  [ "$prev" = --provider ] && provider=$word
  prev=$word; last=$word
done
rewrite() {
  [ -f "$c" ] || return 0
  cp -p "$c" "$c.bak"
  grep -v '^[[:space:]]*//' "$c.bak" > "$c.new"; chmod 600 "$c.new"; mv "$c.new" "$c"
}
case "$*" in
  "secrets apply "*--dry-run*) cp "$4" "$d/dry.json" ;;
  "secrets apply "*)
    cp "$4" "$d/plan.json"
    grep -o '"pathSegments":\["profiles","[^"]*","[a-z]*"\],"agentId":"[^"]*","authProfileProvider":"[^"]*"' "$4" |
      sed 's/"pathSegments":\["profiles","\([^"]*\)","\([a-z]*\)"\],"agentId":"\([^"]*\)","authProfileProvider":"\([^"]*\)"/\1 \2 \3 \4/' |
      while read -r id field agent provider; do
        mkdir -p "$d/db/$agent"; echo "$provider $field ref" > "$d/db/$agent/$id"
      done
    rewrite ;;
  "secrets audit "*)
    if [ -f "$d/audit.json" ]; then cat "$d/audit.json"; else
      echo '{"version":1,"status":"clean","resolution":{"refsChecked":2,"skippedExecRefs":0},"summary":{"unresolvedRefCount":0},"findings":[]}'
    fi ;;
  "models auth order set "*) mkdir -p "$d/orders"; echo "$*" | sed 's/.* -- //' > "$d/orders/$agent-$provider" ;;
  "models auth order clear "*) rm -f "$d/orders/$agent-$provider" ;;
  "models auth order get "*)
    ids=null
    [ -f "$d/orders/$agent-$provider" ] && ids="[\"$(sed 's/ /","/g' "$d/orders/$agent-$provider")\"]"
    echo "{\"agentId\":\"$agent\",\"provider\":\"$provider\",\"order\":$ids}" ;;
  "models auth "*logout*) rm -f "$d/db/$agent/$last"; rewrite ;;
  "models auth "*list*)
    printf '{"agentId":"%s","profiles":[' "$agent"; comma=
    for dir in "$d/db/main" "$d/db/$agent"; do
      [ "$dir" = "$d/db/main" ] && [ "$agent" = main ] && [ -n "$comma" ] && continue
      for file in "$dir"/*; do
        [ -f "$file" ] || continue
        read -r provider field _ < "$file"
        case $field in key) t=api_key ;; *) t=$field ;; esac
        printf '%s{"id":"%s","provider":"%s","type":"%s"}' "$comma" "${file##*/}" "$provider" "$t"; comma=,
      done
    done
    echo ']}' ;;
esac
exit 0
