use crate::kit::{Run, sockdrill};
use rstest::rstest;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A folder that is none for temporary files, wherever the checkout lies.
fn own_folder() -> TempDir {
    let is_temporary = |folder: &PathBuf| {
        let mut all = ["/tmp", "/var/tmp", "/dev/shm"].into_iter();
        all.any(|temporary| folder.starts_with(temporary))
    };
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let checkout = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let mut all = [Some(checkout), home].into_iter().flatten();
    let folder = all.find(|folder| !is_temporary(folder));
    tempfile::tempdir_in(folder.expect("neither the checkout nor HOME is temporary")).unwrap()
}

/// A target in such a folder; the lines are behind its command.
fn target(lines: &str) -> (TempDir, String) {
    let folder = own_folder();
    let server =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hostile/writes_everywhere.py");
    let text = format!(
        "command = [\"python3\", {server:?}, \"{{port}}\", {:?}]\nspeaks = \"echo\"\n{lines}",
        folder.path()
    );
    let file = folder.path().join("target.toml");
    std::fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    (folder, file)
}

fn check(file: &str) -> Run {
    let run = sockdrill(&["check", file, "--only", "polite/exchange", "--isolation"]);
    run.args(["namespace", "-v"]).reporting().run()
}

/// Whether namespaces are permitted here.
fn is_permitted() -> bool {
    let doctor = sockdrill(&["doctor"]).run();
    let is_missing =
        doctor.stdout.contains("missing  writes") || doctor.stdout.contains("missing  namespace");
    let claim = "writes cannot be bounded here, although that is required";
    doctor.demand(!is_missing || !crate::host::is_required("namespace"), claim);
    !is_missing
}

/// Where `/proc` shows an ordinary user its own processes alone.
#[test]
fn server_is_seen_where_proc_hides_what_may_not_be_traced() {
    let hidden = "mount -t proc -o hidepid=2 proc /proc; exec setpriv --bounding-set -all --inh-caps -all \"$@\"";
    let before = [
        "-Ur", "--pid", "--fork", "--mount", "sh", "-ec", hidden, "sh",
    ];
    let may = Command::new("unshare").args(before).arg("true").output();
    let may = may.is_ok_and(|may| may.status.success());
    assert!(may || !crate::host::is_required("namespace"), "{before:?}");
    if !may {
        return;
    }
    let inner = sockdrill(&["check", "echo", "--only", "stop/term-idle"]).command;
    let mut command = Command::new("unshare");
    command
        .args(before)
        .arg(inner.get_program())
        .args(inner.get_args());
    let output = command.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("1 passed"), "{printed}{output:?}");
}

#[test]
fn what_a_server_writes_goes_with_its_lab() {
    if !is_permitted() {
        return;
    }
    let before = std::fs::read("/proc/sys/kernel/core_pattern").unwrap();
    let (folder, file) = target("");
    let run = check(&file).code(0);
    assert!(run.report.get("writes_reason").is_none(), "{run:?}");
    assert!(!folder.path().join("written").exists());
    assert!(!Path::new("/tmp/sockdrill-written-everywhere").exists());
    assert_eq!(
        std::fs::read("/proc/sys/kernel/core_pattern").unwrap(),
        before
    );
}

#[rstest]
#[case::in_layers("")]
#[case::with_the_hosts_files("[lab]\nwrites = \"host\"\n")]
fn server_is_told_what_it_may_not_do(#[case] lines: &str) {
    if !is_permitted() {
        return;
    }
    let (_folder, file) = target(lines);
    // It ends at once, and what it has printed is told.
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\"{port}\"", "\"none\"")).unwrap();
    let run = check(&file).code(3);
    let run = run.complains("temporary done").complains("kernel refused");
    run.complains("device refused").complains("system refused");
}

#[test]
fn target_that_wants_the_hosts_files_gets_them_and_the_report_says_so() {
    if !is_permitted() {
        return;
    }
    let (folder, file) = target("[lab]\nwrites = \"host\"\n");
    let run = check(&file).code(0);
    let run = run.prints("servers write to the host's own files: as the target wants it");
    assert_eq!(run.report["writes_reason"], "as the target wants it");
    assert!(folder.path().join("written").exists());
    assert!(!Path::new("/tmp/sockdrill-written-everywhere").exists());
}

#[rstest]
#[case::parameter_of_the_host(
    "[lab.sysctl]\n\"kernel.core_pattern\" = \"core\"\n",
    "begin with `net.`"
)]
#[case::path_as_a_parameter(
    "[lab.sysctl]\n\"net.ipv4/../../vm.swappiness\" = 1\n",
    "begin with `net.`"
)]
#[case::file_above_the_folder("[files]\n\"../above\" = \"text\"\n", "does not stay below")]
#[case::file_anywhere("[files]\n\"/etc/anywhere\" = \"text\"\n", "does not stay below")]
#[case::unknown_place("[lab]\nwrites = \"disk\"\n", "`layer` or `host`")]
fn target_that_reaches_beyond_its_lab_is_refused(#[case] lines: &str, #[case] complaint: &str) {
    let (folder, file) = target(lines);
    check(&file).code(2).complains(complaint);
    assert!(!folder.path().join("above").exists());
}

/// `/var/run` is a link to `/run` on most hosts, which leads to the lab's own there.
#[test]
fn socket_behind_a_link_of_the_host_is_the_one_of_the_lab() {
    if !is_permitted() {
        return;
    }
    let path = "/var/run/sockdrill-behind-a-link";
    let program = env!("CARGO_BIN_EXE_sockdrill");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("target.toml");
    let text = format!(
        "command = [{program:?}, \"serve\", \"uppercase\", \"--path={path}\", \"--port=0\"]\n\
         profile = {{ transport = \"unix\", model = \"ascii-uppercase\", framing = \"stream\" }}\n"
    );
    std::fs::write(&file, text).unwrap();
    let run = check(&file.display().to_string());
    run.code(0).prints("1 passed");
    assert!(!Path::new(path).exists());
}

/// A user namespace of an ordinary user has no place for the owners of the folders on the way.
#[test]
fn server_of_an_ordinary_user_writes_where_it_works_and_to_temporary_folders() {
    const NOBODY: u32 = 65_534;
    if !is_permitted() || !rustix::process::geteuid().is_root() {
        return;
    }
    let outer = tempfile::tempdir_in("/var").unwrap();
    let place = outer.path().join("of/root/place");
    std::fs::create_dir_all(&place).unwrap();
    let open_to_all = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(outer.path(), open_to_all).unwrap();
    std::os::unix::fs::chown(&place, Some(NOBODY), Some(NOBODY)).unwrap();
    // By another process: a child that is forked meanwhile would hold our descriptor, and ETXTBSY be the answer (execve(2)).
    let program = place.join("sockdrill");
    let copied = Command::new("cp")
        .arg(env!("CARGO_BIN_EXE_sockdrill"))
        .arg(&program)
        .status();
    assert!(copied.unwrap().success());
    let writes = "echo 1 > ./written && echo in its folder; \
                  echo 1 > /var/tmp/sockdrill-written && echo in var; \
                  echo 1 > /dev/shm/sockdrill-written && echo in shm";
    let mut command = Command::new(&program);
    command.args([
        "check",
        "--isolation",
        "namespace",
        "--",
        "sh",
        "-c",
        writes,
    ]);
    command.current_dir(&place).uid(NOBODY).gid(NOBODY);
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    for written in ["in its folder", "in var", "in shm"] {
        assert!(told.contains(written), "{written}: {told}");
    }
    assert!(!place.join("written").exists());
}
