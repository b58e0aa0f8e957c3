//! Shell files: what is an assignment, what is known of it, and what is left. The real shells have a test
//! of their own, with generated files.

use super::Language::Shell;
use super::read;
use super::tests::{left, one, pairs};

#[test]
fn values_are_known_or_not() {
    for (text, value) in [
        ("export A=1", Some("1")),
        ("A=1", Some("1")),
        ("  export A='x y'\"z\\\"\"\\w # c", Some("x yz\"w")),
        ("export 'A=x y'", Some("x y")),
        ("export -- A=1", Some("1")),
        ("declare -x A=1", Some("1")),
        ("typeset -gx A=1", Some("1")),
        ("export A=a#b", Some("a#b")),
        ("A=", Some("")),
        ("A=\"x\n\ny\"", Some("x\n\ny")),
        ("A=x\\\ny", Some("xy")),
        ("A=a==", Some("a==")),
        ("A=1\r\n", Some("1\r")),
        ("A='$B `c` ${d}'", Some("$B `c` ${d}")),
        ("A=\"\\$B $ \"", Some("$B $ ")),
        ("A=*", Some("*")),
        ("export A=*", None),
        ("A=$B", None),
        ("A=\"x${B}\"", None),
        ("A=$(pass show x)", None),
        ("A=`pass`", None),
        ("A=~/x", None),
        ("A=$'x'", None),
        ("A={a,b}", None),
        ("export \"A=$B\"", None),
    ] {
        assert_eq!(one(Shell, text).as_deref(), value, "{text:?}");
    }
    assert_eq!(one(Shell, b"A=\xff"), None);
}

#[test]
fn what_does_not_last_is_not_listed() {
    for nothing in [
        "A=1 command",
        "A=(1 2 # )\n)",
        "A+=1",
        "A[1]=2",
        "export -n A=1",
        "export -f A=1",
        "declare A=1",
        "declare -ax A=1",
        "alias x='A=1'",
        "echo A=1",
        "# A=1",
        ": <<E\nA=1\nE",
        ": <<-\\E\n\tA=1\n\tE",
        "echo \"\nA=1\n\"",
        "x=$(A=1",
        "export \"$B=1\"",
        "for A=1 in B=2; do :; done",
        "case x in A=1) :;; esac",
        "[[ A=1 && B=2 ]]",
        "((A=1))",
        "for ((A=1; A<<2; A++)); do :; done",
        "echo $((A=1)) ${A:=1} `A=1`",
        "cat <(A=1)",
        "export A B",
        "set -o A=1",
        "1A=2",
        "export é=1",
        "A=1 >x command",
    ] {
        let read = read(Shell, nothing.as_bytes())
            .map(|all| all.iter().filter(|one| one.name == "A").count());
        assert_eq!(read.unwrap_or_default(), 0, "{nothing:?}");
    }
}

#[test]
fn a_command_goes_and_a_place_that_needs_one_keeps_one() {
    for (before, gone, after) in [
        ("export A=1\nx\n", &[0][..], "x\n"),
        ("export A=1 # why\n", &[0], " # why\n"),
        ("export A=1; export B=2; x\n", &[0, 1], "x\n"),
        ("export A=1; export B=2\n", &[1], "export A=1; \n"),
        ("export A=1 B C=2\n", &[0], "export B C=2\n"),
        ("export A=1 B C=2\n", &[0, 1], "export B\n"),
        ("export A=1 \\\n  B=2\n", &[1], "export A=1\n"),
        ("A=1 B=2 C=3\n", &[0, 1], "C=3\n"),
        ("A=1 B=2 C=3\n", &[1, 2], "A=1\n"),
        ("if x; then export A=1; fi\n", &[0], "if x; then :; fi\n"),
        (
            "if x\nthen\n  export A=1\nfi\n",
            &[0],
            "if x\nthen\n  :\nfi\n",
        ),
        ("[ -f x ] && export A=1\n", &[0], "[ -f x ] && :\n"),
        ("export A=1 &&\n  B=2\n", &[0, 1], ": &&\n  :\n"),
        ("f() { A=1; }\n", &[0], "f() { :; }\n"),
        ("f()\n{\nA=1\n}\nB=2\n", &[1], "f()\n{\nA=1\n}\n"),
        ("(A=1)\n", &[0], "(:)\n"),
        (
            "case x in a) A=1;; esac; B=2\n",
            &[0, 1],
            "case x in a) :;; esac; \n",
        ),
        ("export A=1 2>/dev/null\n", &[0], ": 2>/dev/null\n"),
        ("A=1 >x B=2\n", &[0, 1], ": >x\n"),
        ("A=1 >x B=2\n", &[0], ">x B=2\n"),
        ("sleep 9 & A=1\n", &[0], "sleep 9 & \n"),
        ("A=1 & x\n", &[0], ": & x\n"),
        ("x \\\n&& y; A=1\nB=2\n", &[0], "x \\\n&& y; \nB=2\n"),
        ("A=1\r B=2\nC=3\n", &[1], "A=1\r\nC=3\n"),
        // Where branches do not fit together nothing goes whole.
        ("fi\nA=1\n", &[0], "fi\n:\n"),
    ] {
        assert_eq!(left(Shell, before, gone), after, "{before:?}");
    }
}

#[test]
fn an_end_that_is_missing_is_said_with_its_line() {
    for (text, said) in [
        ("x\nA='1\ny\n", "line 2 opens a quote that is never closed"),
        ("x\n\nA=\"1\n", "line 3 opens a quote that is never closed"),
        ("A=$(x\n", "line 1 opens a bracket that is never closed"),
        ("A=${x\n", "line 1 opens a ${ that is never closed"),
        ("A=`x\n", "line 1 opens a ` that is never closed"),
        ("A=(x\n", "line 1 opens a bracket that is never closed"),
        ("[[ x\n", "line 1 opens a [[ that is never closed"),
        ("A=1\0\n", "line 1 has a NUL byte in it"),
    ] {
        assert_eq!(read(Shell, text.as_bytes()).unwrap_err().message(), said);
    }
    let deep = "$(".repeat(1000);
    let error = read(Shell, deep.as_bytes()).unwrap_err();
    assert_eq!(
        error.message(),
        "line 1 has expansions too deep in one another"
    );
}

#[test]
fn what_openclaw_writes_for_launchd_is_read_and_left_as_it_was() {
    let text = "# Generated by OpenClaw. Do not edit while the gateway service is installed.\nexport ANTHROPIC_API_KEY='sk-FAKE'\\''0 1'\nexport HOME='/Users/alice'\n";
    assert_eq!(pairs(Shell, text)[0].1.as_deref(), Some("sk-FAKE'0 1"));
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    assert_eq!(left(Shell, text, &[0]), [lines[0], lines[2]].concat());
}

/// A start-up file as people have it: nothing of it is taken for something else.
#[test]
fn a_file_of_a_person_is_followed_to_its_end() {
    let text = r#"# ~/.bashrc: it's "mine"
case $- in
    *i*) ;;
      *) return;;
esac
HISTCONTROL=ignoreboth
[ -x /usr/bin/lesspipe ] && eval "$(SHELL=/bin/sh lesspipe)"
if [ -z "${debian_chroot:-}" ] && [ -r /etc/debian_chroot ]; then
    debian_chroot=$(cat /etc/debian_chroot)
fi
PS1='${debian_chroot:+($debian_chroot)}\u@\h:\w\$ '
alias alert='notify-send "$(history|tail -n1|sed -e '\''s/^\s*[0-9]\+\s*//;s/[;&|]\s*alert$//'\'')"'
path=(~/bin $path) # zsh
for f in ~/.zsh/*(N); do source "$f"; done
zstyle ':completion:*' matcher-list 'm:{a-z}={A-Z}'
source <(kubectl completion zsh)
function mk() { mkdir -p -- "$1" && cd -P -- "$1"; }
[[ $TERM =~ ^(xterm|screen)$ && -n $X ]] || return
cat <<'EOF' | while read -r l; do echo "$l"; done
export NO=1 '
EOF
(( $+commands[brew] )) && eval "$(brew shellenv)"
export OPENAI_API_KEY="sk-FAKE-0123" # work
"#;
    let read = pairs(Shell, text);
    let names: Vec<&str> = read.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["HISTCONTROL", "debian_chroot", "PS1", "OPENAI_API_KEY"]
    );
    assert_eq!(read[3].1.as_deref(), Some("sk-FAKE-0123"));
    let expected = text.replace("export OPENAI_API_KEY=\"sk-FAKE-0123\" #", " #");
    assert_eq!(left(Shell, text, &[3]), expected);
}
