//! vLLM's `/metrics`: how many requests its engines work on, and how many wait there.

use super::ask::Ask;
use super::busy::Busy;
use super::doubt::Doubt;

pub(super) const METRICS: &str = "/metrics";

pub(super) async fn busy(ask: &Ask<'_>, doubt: &mut Doubt) -> Option<Busy> {
    let text = ask.get_text(METRICS).await?;
    read(&text, doubt)
}

/// More requests than any server holds.
const MOST_REQUESTS: f64 = 1e6;

/// One line for each engine and model is summed up. Servers that keep no statistics have none of these lines.
pub(super) fn read(text: &str, doubt: &mut Doubt) -> Option<Busy> {
    if !looks_like_metrics(text) {
        doubt.raise();
        return None;
    }
    let running = sum(text, "num_requests_running", doubt);
    let waiting = sum(text, "num_requests_waiting", doubt);
    // Of engines before V1: requests that were put aside to make room.
    let swapped = sum(text, "num_requests_swapped", doubt);
    let or_none = |sum: Result<Option<u32>, Absurd>| sum.map(Option::unwrap_or_default);
    match (running, or_none(waiting), or_none(swapped)) {
        (Ok(Some(running)), Ok(waiting), Ok(swapped)) => {
            Some(Busy { running, waiting: waiting.saturating_add(swapped) })
        }
        _ => None,
    }
}

/// A number that no gauge of requests can have.
struct Absurd;

/// The sum of a gauge over all its lines; `None` where there is none.
fn sum(text: &str, gauge: &str, doubt: &mut Doubt) -> Result<Option<u32>, Absurd> {
    let mut sum = None;
    for value in text.lines().filter_map(|line| value_of(line, gauge)) {
        match value.parse::<f64>() {
            Ok(number) if (0.0..=MOST_REQUESTS).contains(&number) => {
                // Within the bounds, so it fits.
                *sum.get_or_insert(0.0) += number.round();
            }
            _ => {
                doubt.raise();
                return Err(Absurd);
            }
        }
    }
    Ok(sum.map(|sum: f64| sum.min(MOST_REQUESTS) as u32))
}

/// The value of a line, where it is one of this gauge: `vllm:GAUGE{labels} value [time]`. Where names may have no colon,
/// it is written `_`.
fn value_of<'t>(line: &'t str, gauge: &str) -> Option<&'t str> {
    let name = line.trim_start().strip_prefix("vllm")?;
    let rest = name.strip_prefix([':', '_'])?.strip_prefix(gauge)?;
    let after = match rest.strip_prefix('{') {
        Some(labels) => after_labels(labels).unwrap_or(""),
        // A longer name is another gauge.
        None if rest.starts_with([' ', '\t']) => rest,
        None => return None,
    };
    Some(after.split_ascii_whitespace().next().unwrap_or(""))
}

/// What follows the `}` that ends the labels; one between quotes is part of a value.
fn after_labels(labels: &str) -> Option<&str> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, letter) in labels.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '}' if !quoted => return labels.get(at + 1..),
            _ => {}
        }
    }
    None
}

/// Whether this is the text that Prometheus reads, or nothing at all.
fn looks_like_metrics(text: &str) -> bool {
    let first = text.trim_start().chars().next();
    first.is_none_or(|first| first == '#' || first == '_' || first == ':' || first.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> (Option<(u32, u32)>, bool) {
        let mut doubt = Doubt::default();
        let busy = read(text, &mut doubt).map(|busy| (busy.running, busy.waiting));
        (busy, doubt != Doubt::default())
    }

    #[test]
    fn engines_of_v1_are_summed_up() {
        let text = r#"# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="Qwen/Qwen3-8B"} 3.0
vllm:num_requests_running{engine="1",model_name="Qwen/Qwen3-8B"} 1.0
# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="Qwen/Qwen3-8B"} 2.0
vllm:num_requests_waiting{engine="1",model_name="Qwen/Qwen3-8B"} 0.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="Qwen/Qwen3-8B",reason="capacity"} 2.0
vllm:kv_cache_usage_perc{engine="0",model_name="Qwen/Qwen3-8B"} 0.4567
"#;
        assert_eq!(told(text), (Some((4, 2)), false));
    }

    #[test]
    fn engines_before_v1_also_swap() {
        let text = r#"# HELP vllm:num_requests_running Number of requests currently running on GPU.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{model_name="unsloth/Llama-3.2-1B-Instruct"} 8.0
# HELP vllm:num_requests_swapped Number of requests swapped to CPU.
# TYPE vllm:num_requests_swapped gauge
vllm:num_requests_swapped{model_name="unsloth/Llama-3.2-1B-Instruct"} 1.0
vllm:num_requests_waiting{model_name="unsloth/Llama-3.2-1B-Instruct"} 3.0
"#;
        assert_eq!(told(text), (Some((8, 4)), false));
    }

    #[test]
    fn lines_are_read_as_prometheus_writes_them() {
        for (text, running) in [
            ("vllm:num_requests_running 2", Some(2)),
            ("vllm:num_requests_running{} 2 1700000000000", Some(2)),
            ("vllm_num_requests_running{model_name=\"m\"} 2", Some(2)),
            (r#"vllm:num_requests_running{model_name="a}b \" } 9"} 2"#, Some(2)),
            ("vllm:num_requests_running_total 2", None),
            ("# nothing\nprocess_cpu_seconds_total 3", None),
            ("", None),
        ] {
            assert_eq!(told(text), (running.map(|running| (running, 0)), false), "{text}");
        }
    }

    #[test]
    fn absurd_answers_are_left_out_of_account() {
        for text in [
            "vllm:num_requests_running NaN",
            "vllm:num_requests_running +Inf",
            "vllm:num_requests_running -1",
            "vllm:num_requests_running 1e300",
            "vllm:num_requests_running many",
            "vllm:num_requests_running{model_name=\"m\"}",
            "vllm:num_requests_running{model_name=\"m\" 3",
            "vllm:num_requests_running{engine=\"0\"} 1\nvllm:num_requests_running{engine=\"1\"} NaN",
            "vllm:num_requests_running 1\nvllm:num_requests_waiting -4",
            "<html><body>Not Found</body></html>",
            "{\"running\":3}",
            "42",
        ] {
            assert_eq!(told(text), (None, true), "{text}");
        }
    }
}
