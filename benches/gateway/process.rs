//! Child processes: started on a core of their own, measured by what the kernel says of them, ended with whoever holds
//! them.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::machine::{cores, find};

/// A child process. It is killed when dropped.
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: Option<BufReader<ChildStdout>>,
}

/// Which core a process runs on, where the machine can pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Core {
    /// Backend and load generator.
    Load,
    /// What is measured.
    Measured,
    /// Wherever the kernel puts it.
    Any,
}

impl Core {
    fn number(self) -> Option<&'static str> {
        match self {
            Core::Load => Some("0"),
            Core::Measured => Some("1"),
            Core::Any => None,
        }
    }
}

impl Process {
    /// Starts `program` on `core`. What it complains of goes to `log`.
    pub(crate) fn start(core: Core, program: &Path, arguments: &[String], log: &Path) -> Result<Process> {
        let mut command = match (core.number().filter(|_| cores() > 1), find("taskset")) {
            (Some(number), Some(taskset)) => {
                let mut command = Command::new(taskset);
                command.args(["-c", number]).arg(program);
                command
            }
            _ => Command::new(program),
        };
        let mut child = command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(log).with_context(|| format!("cannot write {}", log.display()))?)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let (input, output) = (child.stdin.take(), child.stdout.take().map(BufReader::new));
        Ok(Process { child, input, output })
    }

    /// The next line that it says.
    pub(crate) fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.as_mut().context("its output is piped")?.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    /// Tells it to go on.
    pub(crate) fn go(&mut self) -> Result<()> {
        Ok(self.input.as_mut().context("its input is piped")?.write_all(b"go\n")?)
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// CPU time that its threads have used, to the nanosecond. Threads that have ended do not count.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let mut nanos = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
            nanos += text.split(' ').next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(Duration::from_nanos(nanos))
    }

    /// Memory that it holds, its share of shared pages counted, in bytes.
    pub(crate) fn memory(&self) -> Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).context("the kernel does not tell PSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits, where there is no runtime to block.
#[expect(clippy::disallowed_methods, reason = "the driver has no runtime, it waits for processes")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
