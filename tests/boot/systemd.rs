//! What systemd promises and the keeper builds on, seen under a real one.

use crate::machine::Machine;

#[test]
fn a_machine_boots_runs_its_script_and_keeps_its_disk_over_a_power_off() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let first = machine.boot(
        "people
step 'who is first' cat /proc/1/comm
step 'write' bash -c 'echo kept >/home/alice/kept'
step 'shell of alice' as alice bash -c 'id -un; clawkeep --version'
step 'refused' false
",
    );
    assert_eq!(first.step("who is first").ok().text(), "systemd");
    assert!(first.step("shell of alice").ok().text().starts_with("alice\nclawkeep "));
    first.step("refused").code(1);
    let second = machine.boot("step 'read' cat /home/alice/kept");
    assert_eq!(second.step("read").ok().text(), "kept");
}
