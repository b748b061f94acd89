//! Families of metrics made from values that stand somewhere else.

use prometheus::core::{Collector, GenericGaugeVec};
use prometheus::proto::{Bucket, Histogram, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{GaugeVec, IntCounterVec, Opts};

use crate::mesh::Durations;

/// A gauge; each sample with the values of its labels.
pub(super) fn gauge(
    name: &str,
    help: &str,
    labels: &[&str],
    samples: impl IntoIterator<Item = (Vec<String>, f64)>,
) -> Vec<MetricFamily> {
    let family: GaugeVec = GenericGaugeVec::new(Opts::new(name, help), labels).expect("the names are good");
    for (values, value) in samples {
        family.with_label_values(&values).set(value);
    }
    family.collect()
}

/// A counter that is kept elsewhere. Samples of the same labels are added up.
pub(super) fn counter(
    name: &str,
    help: &str,
    labels: &[&str],
    samples: impl IntoIterator<Item = (Vec<String>, u64)>,
) -> Vec<MetricFamily> {
    let family = IntCounterVec::new(Opts::new(name, help), labels).expect("the names are good");
    for (values, value) in samples {
        family.with_label_values(&values).inc_by(value);
    }
    family.collect()
}

/// A histogram that is kept elsewhere, by one label.
pub(super) fn histogram<'a>(
    name: &str,
    help: &str,
    label: &str,
    samples: impl IntoIterator<Item = (&'a str, &'a Durations)>,
) -> MetricFamily {
    let metric = |(value, durations): (&str, &Durations)| {
        let mut pair = LabelPair::default();
        pair.set_name(label.to_owned());
        pair.set_value(value.to_owned());
        let mut metric = Metric::from_label(vec![pair]);
        metric.set_histogram(told(durations));
        metric
    };
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(MetricType::HISTOGRAM);
    family.set_metric(samples.into_iter().map(metric).collect());
    family
}

fn told(durations: &Durations) -> Histogram {
    let mut sum = 0;
    let buckets = Durations::BOUNDS.iter().zip(durations.counts()).map(|(bound, count)| {
        sum += count;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(sum);
        bucket
    });
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(durations.counts().iter().sum());
    histogram.set_sample_sum(durations.sum().as_secs_f64());
    histogram
}
