//! The progress of a build, for both builders: one line per step, and the last output of a failed step.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::docker::text::Lines;
use crate::ports::Progress;

/// Enough lines to show why a compiler failed.
const TAIL: usize = 20;

/// The steps of one build.
pub(super) struct Steps {
    progress: Progress,
    steps: Vec<Step>,
    by_id: HashMap<String, usize>,
}

/// An instruction, or an internal step of the builder.
struct Step {
    name: String,
    tail: VecDeque<String>,
    lines: Lines,
    begun: Option<Instant>,
    ended: bool,
    failed: bool,
}

impl Step {
    /// Internal steps are only reported when they fail.
    fn is_internal(&self) -> bool {
        self.name.starts_with("[internal]") || self.name.is_empty()
    }
}

/// A builder's message about one step. `took` is set at its end.
pub(super) struct StepNews {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) started: bool,
    pub(super) cached: bool,
    pub(super) took: Option<Duration>,
    pub(super) failed: bool,
}

impl Steps {
    pub(super) fn new(progress: Progress) -> Self {
        Self { progress, steps: Vec::new(), by_id: HashMap::new() }
    }

    fn index(&mut self, id: &str) -> usize {
        if let Some(index) = self.by_id.get(id) {
            return *index;
        }
        self.steps.push(Step {
            name: String::new(),
            tail: VecDeque::new(),
            lines: Lines::default(),
            begun: None,
            ended: false,
            failed: false,
        });
        self.by_id.insert(id.to_owned(), self.steps.len() - 1);
        self.steps.len() - 1
    }

    pub(super) fn news(&mut self, news: StepNews) {
        let index = self.index(&news.id);
        let step = &mut self.steps[index];
        if !news.name.is_empty() {
            step.name = one_line(&news.name);
        }
        step.failed |= news.failed;
        if step.ended || step.is_internal() {
            return;
        }
        let name = format!("#{} {}", index + 1, step.name);
        if news.cached {
            step.ended = true;
            (self.progress)(format!("{name} cached"));
        } else if let Some(took) = news.took.filter(|_| !news.failed) {
            step.ended = true;
            (self.progress)(format!("{name} {:.1}s", took.as_secs_f64()));
        } else if news.started && step.begun.is_none() {
            step.begun = Some(Instant::now());
            (self.progress)(format!("{name} …"));
        }
    }

    /// Adds a chunk of a step's output.
    pub(super) fn output(&mut self, id: &str, chunk: &[u8]) {
        let index = self.index(id);
        let step = &mut self.steps[index];
        for line in step.lines.push(chunk) {
            keep(&mut step.tail, line);
        }
    }

    /// The failed step and its last lines. If none is marked as failed, it is the last one that started.
    pub(super) fn failed(mut self) -> Option<(String, Vec<String>)> {
        let marked = self.steps.iter().rposition(|step| step.failed);
        let index = marked.or_else(|| self.steps.iter().rposition(|step| step.begun.is_some() && !step.ended))?;
        let mut step = self.steps.swap_remove(index);
        if let Some(line) = step.lines.finish() {
            keep(&mut step.tail, line);
        }
        while step.tail.back().is_some_and(String::is_empty) {
            step.tail.pop_back();
        }
        Some((step.name, step.tail.into()))
    }

    /// Ends the current step of the classic builder, which only announces the next one.
    pub(super) fn end(&mut self, id: &str, cached: bool) {
        let index = self.index(id);
        let Some(begun) = self.steps[index].begun else { return };
        let took = Some(begun.elapsed());
        self.news(StepNews { id: id.to_owned(), name: String::new(), started: true, cached, took, failed: false });
    }
}

fn keep(tail: &mut VecDeque<String>, line: String) {
    if tail.len() == TAIL {
        tail.pop_front();
    }
    tail.push_back(line);
}

/// A heredoc or a continued line makes a name with several lines.
fn one_line(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    fn recording() -> (Steps, Arc<Mutex<Vec<String>>>) {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        (Steps::new(Arc::new(move |line| sink.lock().unwrap().push(line))), lines)
    }

    fn news(id: &str, name: &str) -> StepNews {
        StepNews { id: id.to_owned(), name: name.to_owned(), started: true, cached: false, took: None, failed: false }
    }

    #[test]
    fn each_step_reports_its_start_and_end_once() {
        let (mut steps, lines) = recording();
        steps.news(news("a", "[internal] load build definition"));
        steps.news(news("b", "[2/3] RUN npm  ci"));
        steps.news(news("b", "[2/3] RUN npm  ci"));
        steps.news(StepNews { took: Some(Duration::from_millis(2_140)), ..news("b", "[2/3] RUN npm ci") });
        steps.news(StepNews { cached: true, ..news("c", "[1/3] FROM base") });
        let told = lines.lock().unwrap().clone();
        assert_eq!(told, ["#2 [2/3] RUN npm ci …", "#2 [2/3] RUN npm ci 2.1s", "#3 [1/3] FROM base cached"]);
    }

    #[test]
    fn the_failed_step_keeps_its_last_lines() {
        let (mut steps, _) = recording();
        steps.news(news("a", "RUN make"));
        for number in 0..30 {
            steps.output("a", format!("line {number}\n").as_bytes());
        }
        steps.output("a", b"no line end");
        steps.news(StepNews { failed: true, ..news("a", "RUN make") });
        let (name, tail) = steps.failed().unwrap();
        assert_eq!(name, "RUN make");
        assert_eq!((tail.len(), tail[0].as_str(), tail[19].as_str()), (20, "line 11", "no line end"));
    }
}
