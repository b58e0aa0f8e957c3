//! systemd's encrypted credentials, as a keeper's unit gets its identity: with the host's key, and
//! with a TPM2 (in software) that PID 1 itself unseals from.

use crate::machine::Machine;

/// A unit that shows its credential, as the user that a keeper runs as.
const SHOW: &str = "show() { systemd-run -q --wait --pipe -p User=clawkeep-alice \
    -p \"LoadCredentialEncrypted=clawkeep-identity:$1\" \
    bash -c 'cat $CREDENTIALS_DIRECTORY/clawkeep-identity'; }
seal() { printf fake-identity | systemd-creds encrypt --name=\"$2\" --with-key=\"$1\" - \"$3\"; }
";

#[test]
fn a_credential_under_the_hosts_key_reaches_its_unit_and_nobody_else() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let boot = machine.boot(&format!(
        "people
{SHOW}
step 'seal' seal host clawkeep-identity /etc/alice.cred
step 'seal under another name' seal host other /etc/other.cred
step 'unit' show /etc/alice.cred
step 'another name' show /etc/other.cred
systemd-run -q --unit=holds -p Type=exec -p User=clawkeep-alice \
  -p LoadCredentialEncrypted=clawkeep-identity:/etc/alice.cred sleep infinity
step 'its folder' stat -c '%U %a' /run/credentials/holds.service
step 'root' cat /run/credentials/holds.service/clawkeep-identity
step 'alice' as alice cat /run/credentials/holds.service/clawkeep-identity
step 'alice decrypts' as alice systemd-creds decrypt --name=clawkeep-identity /etc/alice.cred -
step 'on disk' grep -rlF fake-identity /etc /var /home
"
    ));
    boot.step("seal").ok();
    assert_eq!(boot.step("unit").ok().text(), "fake-identity");
    boot.step("seal under another name").ok();
    assert_eq!(boot.step("another name").refused().text(), "");
    assert_eq!(boot.step("its folder").ok().text(), "clawkeep-alice 500");
    assert_eq!(boot.step("root").ok().text(), "fake-identity");
    boot.step("alice").refused();
    boot.step("alice decrypts").refused();
    boot.step("on disk").code(1);
    let again = machine.boot(&format!("{SHOW}step 'unit' show /etc/alice.cred"));
    assert_eq!(again.step("unit").ok().text(), "fake-identity");
}

#[test]
fn a_credential_under_a_tpm2_opens_only_on_a_machine_that_booted_the_same_way() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let machine = machine.tpm();
    let measured = |digit: &str| machine.write("var/lib/swtpm/measured", &digit.repeat(64));
    measured("a");
    let boot = machine.boot(&format!(
        "people
{SHOW}
step 'seal' seal tpm2 clawkeep-identity /etc/alice.cred
step 'unit' show /etc/alice.cred
"
    ));
    let sealed = boot.step("seal").ok();
    assert!(!sealed.stderr.contains("unenforced"), "{sealed}");
    assert_eq!(boot.step("unit").ok().text(), "fake-identity");

    let show = format!("{SHOW}step 'unit' show /etc/alice.cred");
    assert_eq!(
        machine.boot(&show).step("unit").ok().text(),
        "fake-identity"
    );
    // Another boot chain.
    measured("b");
    assert_eq!(machine.boot(&show).step("unit").refused().text(), "");
    measured("a");
    assert_eq!(
        machine.boot(&show).step("unit").ok().text(),
        "fake-identity"
    );
    // The same disk beside another TPM2.
    for file in std::fs::read_dir(machine.path("var/lib/swtpm")).unwrap() {
        let path = file.unwrap().path();
        if path.file_name().is_some_and(|name| name != "measured") {
            std::fs::remove_file(path).unwrap();
        }
    }
    assert_eq!(machine.boot(&show).step("unit").refused().text(), "");
}
