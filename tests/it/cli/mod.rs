//! The command line of the real binary where no node is needed: words, exit codes, files. A scripted server stands in
//! where an answer is.

mod alone;
mod files;
mod joining;
mod running;
mod serve;
mod usage;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;

/// A directory to run in, and nothing of this machine's environment.
struct Place {
    directory: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
}

/// Nobody listens there.
const NOBODY: &str = "1";

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        Place { directory, variables: vec![("NEXUS_PORT", NOBODY.to_owned())] }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("write");
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("read")
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nexus"));
        command
            .args(line.split_whitespace())
            .current_dir(self.directory.path())
            .env_clear()
            .env("COLUMNS", "100")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    fn run(&self, line: &str) -> Ran {
        Ran::of(&self.command(line).output().expect("the program runs"))
    }
}

#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        Ran { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    #[track_caller]
    fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// The error of a run that failed with 1.
    #[track_caller]
    fn error(self) -> String {
        assert_eq!(self.code, Some(1), "{self:?}");
        assert!(self.stdout.is_empty(), "{self:?}");
        self.stderr
    }
}

/// Answers each request in turn with the next of `answers`; hands back what was asked.
fn scripted(answers: &'static [(u16, &'static str)]) -> (Place, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let (asked, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for (status, body) in answers {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
            let mut head = String::new();
            while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
            let length = head.to_ascii_lowercase();
            let length = length.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let mut content = vec![0; length.unwrap_or(0)];
            reader.read_exact(&mut content).expect("a body");
            let _ = asked.send(head + &String::from_utf8_lossy(&content));
            write!(stream, "HTTP/1.1 {status} S\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
                .expect("answer");
            let _ = stream.shutdown(Shutdown::Write);
        }
    });
    let place = Place { directory: tempfile::tempdir().expect("a directory"), variables: Vec::new() };
    (place.with("NEXUS_PORT", &port.to_string()), receiver)
}

const BACKENDS: &str = r#"{"backends":[
    {"id":"a","name":"a","url":"http://h:1","type":"ollama","backend_type":"ollama","status":"healthy","models":[
        {"id":"m","name":"m","context_length":8192,"supports_vision":false,"supports_tools":true,
         "supports_json_mode":true,"max_output_tokens":null}],"priority":1,"pending_requests":0,"total_requests":42,
     "avg_latency_ms":12,"discovery_source":"static","peer":"self","last_check_seconds_ago":2,"zone":"restricted"},
    {"id":"b","name":"b","url":"","type":"vllm","backend_type":"vllm","status":"unhealthy","models":[],"priority":50,
     "pending_requests":0,"total_requests":0,"avg_latency_ms":null,"discovery_source":"mdns","peer":"attic"}]}"#;
