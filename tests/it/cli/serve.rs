//! A node of its own process: why it does not start, and how it ends.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use super::{Place, Ran};

/// A node that meets nobody.
const ALONE: &str = "serve --host 127.0.0.1 --data-dir data --no-discovery";

#[test]
fn a_port_of_the_environment_that_is_none_stops_serve_and_nothing_else() {
    let place = Place { directory: tempfile::tempdir().expect("a directory"), variables: Vec::new() };
    let place = place.with("NEXUS_PORT", "http");
    let ran = place.run("serve");
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("error") && ran.stderr.contains("NEXUS_PORT"), "{ran:?}");
    place.run("completions bash").ok();
}

#[test]
fn a_port_that_is_taken_is_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound");
    let place = Place::new().with("NEXUS_MESH", "off");
    let error = place.run(&format!("{ALONE} -p {}", address.port())).error();
    let lines: Vec<_> = error.lines().filter(|line| line.starts_with("Error: ")).collect();
    assert!(lines.len() == 1 && lines[0].contains(&address.to_string()), "{error}");
}

#[cfg(unix)]
#[test]
fn serve_ends_well_when_asked_to() {
    for signal in ["-TERM", "-INT"] {
        let place = Place::new().with("NEXUS_MESH", "off");
        let mut serve = place.command(&format!("{ALONE} -p 0")).stderr(Stdio::piped()).spawn().expect("it runs");
        let stderr = BufReader::new(serve.stderr.take().expect("piped"));
        let mut lines = stderr.lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("127.0.0.1:")), "it says where it listens");
        let id = serve.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().expect("kill runs").success());
        lines.for_each(drop);
        assert_eq!(serve.wait().expect("it ends").code(), Some(0), "{signal}");
    }
}

#[cfg(unix)]
#[test]
fn following_ends_well_when_asked_to() {
    let place = Place::new().with("NEXUS_MESH", "off");
    let mut serve = place.command(&format!("{ALONE} -p 0")).stderr(Stdio::piped()).spawn().expect("it runs");
    let stderr = BufReader::new(serve.stderr.take().expect("piped"));
    let mut lines = stderr.lines().map_while(Result::ok);
    let at = |line: &String| {
        line.split("127.0.0.1:").nth(1).map(|rest| rest.chars().take_while(char::is_ascii_digit).collect())
    };
    let port: String = lines.find_map(|line| at(&line)).expect("it says where it listens");
    let kill = |child: &std::process::Child, signal: &str| {
        let id = child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().expect("kill runs").success());
    };
    let follow = |end: &dyn Fn(&std::process::Child)| {
        let place = Place { directory: tempfile::tempdir().expect("a directory"), variables: Vec::new() };
        let place = place.with("NEXUS_PORT", &port);
        let mut follow = place.command("mesh events --json --last 256");
        let mut follow = follow.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        let mut stdout = BufReader::new(follow.stdout.take().expect("piped"));
        let mut first = String::new();
        stdout.read_line(&mut first).expect("an event");
        assert!(first.contains("backend_added"), "{first}");
        end(&follow);
        Ran::of(&follow.wait_with_output().expect("it ends"))
    };
    let mut added = place.command("backends add http://127.0.0.1:1 --name x --type generic");
    let added = added.env("NEXUS_PORT", &port).output().expect("it runs");
    assert!(added.status.success(), "{added:?}");
    assert_eq!(follow(&|follow| kill(follow, "-INT")).code, Some(0));
    let ran = follow(&|_| kill(&serve, "-TERM"));
    assert!(ran.code == Some(1) && ran.stderr.contains("has stopped"), "{ran:?}");
    lines.for_each(drop);
    assert_eq!(serve.wait().expect("it ends").code(), Some(0));
}

/// A directory called `~` was once made where the program stood.
#[test]
fn without_a_home_no_data_directory_is_made_up() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port();
    let place = Place::new();
    let error = place.run(&format!("serve --host 127.0.0.1 --no-discovery -p {port}")).error();
    assert!(error.contains("data_dir") && error.contains("NEXUS_DATA_DIR"), "{error}");
    assert!(!place.path("~").exists());
}
