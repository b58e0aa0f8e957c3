#!/bin/bash
# A shell of the gateway's user that asks without a pause until $HOME/stop is there. Shows how often it
# was told LOCKED, how often it got a value, and how often something else happened.
locked=0 given=0 other=0
until [ -e "$HOME/stop" ]; do
  answer=$(/opt/stand-in/ask provider/mock gateway/token 2>/dev/null)
  case $answer in
    *'"values":{"'*) given=$((given + 1)) ;;
    *'"values":{}'*LOCKED*LOCKED*) locked=$((locked + 1)) ;;
    *) other=$((other + 1)) && echo "$answer" >"$HOME/race-other" ;;
  esac
  echo "$locked" >"$HOME/race"
done
echo "locked $locked, given $given, other $other"
