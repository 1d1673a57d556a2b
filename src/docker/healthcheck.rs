//! The engine's health check of a container: its timing during start, and its last result.

use std::time::Duration;

use bollard::models::HealthConfig;

use super::api::ApiVersion;
use super::{DockerEngine, containers, present};
use crate::model::{Healthcheck, NewContainer, Role};
use crate::ports::EngineError;

/// The engine's default interval and timeout.
const DEFAULT_TIME: Duration = Duration::from_secs(30);
/// A check with at most this interval is quick enough by itself.
const SOON: Duration = Duration::from_secs(5);
/// Interval during start. Each check starts a process, so it is longer than the proxy's probe interval.
const START_INTERVAL: Duration = Duration::from_secs(1);
/// The default time for a replica to become healthy.
const START_PERIOD: Duration = Duration::from_secs(30);
/// Lines of the last check's output.
const MOST_LINES: usize = 10;

/// The health check of a new replica, run every second during start. By default the engine runs the first check after a
/// whole interval (30 s), and a deploy would only wait for that. Start settings of the compose file or the image take
/// precedence, and engines without them keep the check unchanged.
pub(super) async fn asked_early(
    engine: &DockerEngine,
    container: &NewContainer,
    own: Option<HealthConfig>,
) -> Result<Option<HealthConfig>, EngineError> {
    let is_off = matches!(container.spec.healthcheck, Some(Healthcheck::Disabled));
    if engine.api < ApiVersion::START_INTERVAL || container.labels.role != Role::Replica || is_off {
        return Ok(own);
    }
    let doing = format!("inspect image `{}`", container.image);
    let image = present(engine.call(&doing, engine.client.inspect_image(&container.image)).await)?;
    let image = image.and_then(|image| image.config).and_then(|config| config.healthcheck);
    Ok(early(own, image.as_ref()))
}

/// `own` is from the compose file; the engine takes missing fields from the image.
fn early(own: Option<HealthConfig>, image: Option<&HealthConfig>) -> Option<HealthConfig> {
    let of = |field: fn(&HealthConfig) -> Option<i64>| {
        own.as_ref().and_then(field).or_else(|| image.and_then(field).filter(|time| *time != 0))
    };
    let words = |check: &HealthConfig| check.test.clone().filter(|test| !test.is_empty());
    let test = own.as_ref().and_then(words).or_else(|| image.and_then(words));
    let is_check = test.is_some_and(|test| test.first().is_some_and(|word| word != "NONE"));
    let interval = duration(of(|check| check.interval)).unwrap_or(DEFAULT_TIME);
    // An explicit start period of zero is kept.
    let period = of(|check| check.start_period);
    if !is_check || interval <= SOON || period == Some(0) {
        return own;
    }
    let start_interval = of(|check| check.start_interval).or_else(|| nanoseconds(START_INTERVAL));
    let start_period = period.or_else(|| nanoseconds(START_PERIOD));
    Some(HealthConfig { start_interval, start_period, ..own.unwrap_or_default() })
}

/// The maximum time from the start to the first result.
pub(super) fn first_within(check: &HealthConfig) -> Duration {
    let interval = duration(check.interval).unwrap_or(DEFAULT_TIME);
    let period = duration(check.start_period).unwrap_or_default();
    match duration(check.start_interval).filter(|_| !period.is_zero()) {
        Some(start_interval) => period + start_interval,
        None => period + interval + duration(check.timeout).unwrap_or(DEFAULT_TIME),
    }
}

/// Output and result of the last check.
pub(super) async fn last(engine: &DockerEngine, name: &str) -> Result<Vec<String>, EngineError> {
    let container = containers::inspect(engine, name).await?;
    let health = container.and_then(|container| container.state).and_then(|state| state.health);
    let Some(last) = health.and_then(|health| health.log).and_then(|mut log| log.pop()) else { return Ok(Vec::new()) };
    let code = last.exit_code.unwrap_or_default();
    let output = last.output.unwrap_or_default();
    // The engine keeps 4 KB of output.
    let lines = output.lines().map(str::trim_end).filter(|line| !line.is_empty()).take(MOST_LINES).map(str::to_owned);
    Ok(std::iter::once(format!("exit code {code}")).chain(lines).collect())
}

/// `None` if not set: the engine reports 0.
fn duration(nanoseconds: Option<i64>) -> Option<Duration> {
    nanoseconds.and_then(|time| u64::try_from(time).ok()).filter(|time| *time > 0).map(Duration::from_nanos)
}

fn nanoseconds(duration: Duration) -> Option<i64> {
    i64::try_from(duration.as_nanos()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn check(test: &[&str]) -> HealthConfig {
        let test = test.iter().map(|word| (*word).to_owned()).collect();
        HealthConfig { test: Some(test), ..HealthConfig::default() }
    }

    fn times(check: Option<HealthConfig>) -> (Option<i64>, Option<i64>) {
        check.map_or((None, None), |check| (check.start_period, check.start_interval))
    }

    #[test]
    fn checks_early_unless_told_otherwise() {
        let plain = check(&["CMD", "true"]);
        let early_times = (Some(30 * SECOND), Some(SECOND));
        assert_eq!(times(early(Some(plain.clone()), None)), early_times);
        assert_eq!(times(early(None, Some(&plain))), early_times, "the image's own check");
        let minute = HealthConfig { interval: Some(60 * SECOND), ..check(&[]) };
        assert_eq!(times(early(Some(minute), Some(&plain))), early_times, "the file names the interval alone");
        let quick = HealthConfig { interval: Some(SECOND), ..plain.clone() };
        assert_eq!(times(early(Some(quick.clone()), None)), (None, None), "it answers soon by itself");
        assert_eq!(early(None, Some(&quick)), None);
        let period = HealthConfig { start_period: Some(90 * SECOND), ..plain.clone() };
        assert_eq!(times(early(Some(period.clone()), None)), (Some(90 * SECOND), Some(SECOND)));
        assert_eq!(times(early(None, Some(&period))), (Some(90 * SECOND), Some(SECOND)));
        let none = HealthConfig { start_period: Some(0), ..plain };
        assert_eq!(times(early(Some(none), None)), (Some(0), None), "somebody wants no period");
        assert_eq!(early(None, None), None);
        assert_eq!(early(None, Some(&check(&["NONE"]))), None);
        assert_eq!(times(early(Some(check(&["NONE"])), None)), (None, None));
    }

    #[test]
    fn the_first_result_has_a_deadline() {
        let plain = check(&["CMD", "true"]);
        assert_eq!(first_within(&plain), Duration::from_secs(60));
        let own = HealthConfig { interval: Some(60 * SECOND), timeout: Some(5 * SECOND), ..plain.clone() };
        assert_eq!(first_within(&own), Duration::from_secs(65));
        assert_eq!(first_within(&early(Some(own), None).expect("a check")), Duration::from_secs(31));
        let period = HealthConfig { start_period: Some(90 * SECOND), ..plain };
        assert_eq!(first_within(&period), Duration::from_secs(150));
    }
}
