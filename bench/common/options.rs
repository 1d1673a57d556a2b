//! The command line of a benchmark: the arguments after `cargo bench --bench NAME --`.

use std::path::PathBuf;

/// Missing numbers are chosen by the benchmark.
#[derive(Debug, Default)]
pub struct Options {
    pub quick: bool,
    pub rounds: Option<usize>,
    pub deploys: Option<usize>,
    /// Seed of the shuffle; the same seed gives the same order.
    pub seed: Option<u64>,
    /// The path of the JSON file.
    pub out: Option<PathBuf>,
    /// What to measure; empty: everything.
    pub words: Vec<String>,
}

impl Options {
    /// # Errors
    /// A message for the user about the invalid argument.
    pub fn parse(bench: &str, words: &[&str]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut args = std::env::args().skip(1);
        let usage = format!(
            "hint: cargo bench --bench {bench} -- [--quick] [--rounds N] [--deploys N] [--seed N] [--out FILE] [{}]",
            words.join("|")
        );
        while let Some(arg) = args.next() {
            let mut number = || {
                let text = args.next().unwrap_or_default();
                text.parse::<u64>()
                    .ok()
                    .filter(|number| *number > 0)
                    .ok_or_else(|| format!("`{arg}` got `{text}` but takes a whole number above 0\n{usage}"))
            };
            match arg.as_str() {
                // An option of cargo for harnesses that also run tests.
                "--bench" => {}
                "--quick" => options.quick = true,
                "--rounds" => options.rounds = usize::try_from(number()?).ok(),
                "--deploys" => options.deploys = usize::try_from(number()?).ok(),
                "--seed" => options.seed = Some(number()?),
                "--out" => {
                    let file = args.next().ok_or_else(|| format!("`--out` got no file\n{usage}"))?;
                    options.out = Some(file.into());
                }
                word if words.contains(&word) => options.words.push(arg),
                other => return Err(format!("nothing to measure is called `{other}`\n{usage}")),
            }
        }
        Ok(options)
    }

    pub fn wants(&self, word: &str) -> bool {
        self.words.is_empty() || self.words.iter().any(|wanted| wanted == word)
    }
}
