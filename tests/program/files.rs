use crate::kit::sockdrill;

const TALK: &str = "\
case a word
  clients: alice

  alice connect
  alice send \"one\"
  alice expect \"one\"
";

#[test]
fn case_starts_its_server_once() {
    let folder = tempfile::tempdir().unwrap();
    let (file, starts) = (
        folder.path().join("talk.drill"),
        folder.path().join("starts"),
    );
    std::fs::write(&file, TALK).unwrap();
    let program = env!("CARGO_BIN_EXE_sockdrill");
    let server = format!(
        "echo started >> {}; exec {program} serve echo --port $1",
        starts.display()
    );
    // In a lab, what a server writes to a folder for temporary files is its own.
    sockdrill(&["run", "--isolation", "host"])
        .arg(&file)
        .args(["--", "sh", "-c", &server, "server", "{port}"])
        .run()
        .code(0);
    assert_eq!(std::fs::read_to_string(&starts).unwrap(), "started\n");
}
