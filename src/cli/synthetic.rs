//! `nexus synthetic`: the flags of the made-up backend, and its life until Ctrl-C.

use anyhow::{Context, anyhow};
use clap::Args;

use super::print;
use super::signals::Stop;
use crate::env::Env;
use crate::synthetic::{self, Options};
use crate::telemetry;

/// Run an OpenAI-compatible server that makes up text at a given speed: for trying out, demos, benchmarks and tests.
///
/// The text depends on the prompt only; one word is one token, so usage is exact.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  nexus synthetic --port 9001 --model small --tokens-per-second 80 --slots 4
  nexus backends add http://127.0.0.1:9001 --name small")]
pub(super) struct Synthetic {
    /// Port to listen on; 0 takes any free one
    #[arg(short, long, value_name = "N", default_value_t = 9000)]
    port: u16,
    /// Address to listen on
    #[arg(short = 'H', long, value_name = "ADDR", default_value = "127.0.0.1")]
    host: String,
    /// A model it has; may be given several times
    #[arg(short, long = "model", value_name = "NAME", default_value = "synthetic")]
    models: Vec<String>,
    /// How fast each request is answered, in tokens per second; 0: as fast as possible
    #[arg(long, value_name = "X", default_value_t = 50.0, value_parser = speed)]
    tokens_per_second: f64,
    /// How fast a prompt is read, in tokens per second; 0: at once
    #[arg(long, value_name = "X", default_value_t = 0.0, value_parser = speed)]
    prefill_per_second: f64,
    /// How many requests are answered at once; others wait their turn
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=4096))]
    slots: u32,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if speed.is_finite() && speed >= 0.0 => Ok(speed),
        _ => Err("must be a number of 0 or more".to_owned()),
    }
}

impl Synthetic {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        telemetry::init(&telemetry::Config::default(), crate::config::process("RUST_LOG").as_deref())
            .map_err(|error| anyhow!("cannot start logging: {error}"))?;
        let mut stop = Stop::listen()?;
        let place = format!("{}:{}", self.host, self.port);
        let options = Options {
            host: self.host,
            port: self.port,
            models: self.models,
            tokens_per_second: self.tokens_per_second,
            prefill_per_second: self.prefill_per_second,
            slots: self.slots,
            ..Options::default()
        };
        let server = synthetic::start(options, &Env::real()).await;
        let server = server.with_context(|| format!("cannot listen on {place}"))?;
        print(&format!("Listening on {}\n", server.url()))?;
        stop.asked().await;
        server.stop().await;
        Ok(())
    }
}
