//! From a seed to what is done when: nothing else decides, so the seed is all that a replay needs.

use std::fmt;

use rustix::process::Signal;

pub const APPS: [&str; 3] = ["ant", "bee", "cat"];

/// One thing that is done to one app, or to what all of them stand on.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// From 1.
    pub number: usize,
    /// Which of [`APPS`].
    pub app: usize,
    /// As the report counts it.
    pub kind: &'static str,
    pub action: Action,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, `{}`: {:?}", self.kind, APPS[self.app], self.action)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    Deploy,
    /// All apps in one flip.
    Atomic,
    Scale(u32),
    Rollback,
    /// Another nginx takes over; after so many steps the command is killed, and the next one ends it.
    ReplaceProxy {
        killed_after: Option<u32>,
    },
    Bad(Bad),
    /// Two deploys and a change of scale at once.
    Race(u32),
    /// A build on a full disk; `checked` leaves the product its look at the disk before it begins.
    FullDisk {
        checked: bool,
    },
    /// With a moment: while a deploy of the app is under way.
    Fault(Fault, Option<Moment>),
}

/// What is wrong with a new version.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bad {
    Crashes,
    Hangs,
    WrongPort,
    /// Dies after so many answers that it is well.
    DiesWhenWell(u64),
    EatsMemory,
    /// Not wrong at all: it only takes so many seconds.
    StartsSlowly(u64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    SignalCli(Signal),
    /// One of the replicas that serve, by its place among them.
    KillReplica(usize),
    DisconnectReplica(usize),
    KillWorker,
    KillProxy,
    CutControl,
    PauseEngine {
        seconds: u64,
    },
    CutEngine,
    SlowEngine {
        millis: u64,
    },
    RestartEngine(Signal),
}

/// A point in a run: so long after the beginning of so many of its steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    pub steps: u64,
    pub millis: u64,
}

type Draw = fn(&mut Dice) -> Action;

/// Every kind of step, and how its details are drawn.
pub const KINDS: [(&str, Draw); 22] = [
    ("deploy", |_| Action::Deploy),
    ("deploy, atomic", |_| Action::Atomic),
    ("scale", |dice| Action::Scale(dice.number(1, 4) as u32)),
    ("rollback", |_| Action::Rollback),
    ("proxy replaced", |dice| {
        let killed_after = dice.is_heads().then(|| dice.number(1, 4) as u32);
        Action::ReplaceProxy { killed_after }
    }),
    ("two deploys and a scale", |dice| Action::Race(dice.number(1, 3) as u32)),
    ("version that crashes", |_| Action::Bad(Bad::Crashes)),
    ("version that hangs", |_| Action::Bad(Bad::Hangs)),
    ("version on a wrong port", |_| Action::Bad(Bad::WrongPort)),
    ("version well, then dead", |dice| Action::Bad(Bad::DiesWhenWell(dice.number(1, 2)))),
    ("version out of memory", |_| Action::Bad(Bad::EatsMemory)),
    ("version that starts slowly", |dice| Action::Bad(Bad::StartsSlowly(dice.number(1, 3)))),
    ("disk full while building", |dice| Action::FullDisk { checked: dice.is_heads() }),
    ("command killed", |dice| Action::Fault(Fault::SignalCli(Signal::KILL), Some(dice.moment()))),
    ("command interrupted", |dice| {
        let signal = if dice.is_heads() { Signal::INT } else { Signal::TERM };
        Action::Fault(Fault::SignalCli(signal), Some(dice.moment()))
    }),
    ("replica killed", |dice| Action::Fault(Fault::KillReplica(dice.number(0, 3) as usize), dice.maybe())),
    ("replica disconnected", |dice| Action::Fault(Fault::DisconnectReplica(dice.number(0, 3) as usize), dice.maybe())),
    ("proxy worker killed", |dice| Action::Fault(Fault::KillWorker, dice.maybe())),
    ("proxy killed", |dice| Action::Fault(Fault::KillProxy, dice.maybe())),
    ("control connection cut", |dice| Action::Fault(Fault::CutControl, Some(dice.moment()))),
    ("engine API paused, cut, slow", |dice| {
        let fault = match dice.number(0, 3) {
            // Longer than a lease without heartbeats lives.
            0 => Fault::PauseEngine { seconds: 18 },
            1 => Fault::PauseEngine { seconds: dice.number(1, 4) },
            2 => Fault::CutEngine,
            _ => Fault::SlowEngine { millis: dice.number(10, 60) },
        };
        Action::Fault(fault, Some(dice.moment()))
    }),
    ("engine restarted", |dice| {
        let signal = if dice.is_heads() { Signal::TERM } else { Signal::KILL };
        Action::Fault(Fault::RestartEngine(signal), dice.maybe())
    }),
];

/// The steps of a seed, without end. All kinds are dealt from a shuffled deck before one comes again.
pub struct Schedule {
    seed: u64,
    dice: Dice,
    deck: Vec<usize>,
    dealt: usize,
}

impl Schedule {
    pub fn new(seed: u64) -> Self {
        Self { seed, dice: Dice::new(seed), deck: Vec::new(), dealt: 0 }
    }
}

impl Iterator for Schedule {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if self.deck.is_empty() {
            self.deck = (0..KINDS.len()).collect();
            for place in (1..self.deck.len()).rev() {
                self.deck.swap(place, self.dice.number(0, place as u64) as usize);
            }
        }
        let (kind, draw) = KINDS[self.deck.pop()?];
        self.dealt += 1;
        // Dice of its own: a kind that draws once more tomorrow must not change all the steps behind it.
        let mut dice = Dice::new(self.seed ^ (self.dealt as u64) << 32);
        let app = dice.number(0, APPS.len() as u64 - 1) as usize;
        Some(Step { number: self.dealt, app, kind, action: draw(&mut dice) })
    }
}

/// The splitmix64 generator.
pub struct Dice {
    state: u64,
}

impl Dice {
    fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Both ends are among them.
    fn number(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }

    fn is_heads(&mut self) -> bool {
        self.number(0, 1) == 0
    }

    /// A redeploy of two replicas has 18 steps; most of them take a few milliseconds.
    fn moment(&mut self) -> Moment {
        Moment { steps: self.number(1, 18), millis: self.number(0, 60) }
    }

    fn maybe(&mut self) -> Option<Moment> {
        self.is_heads().then(|| self.moment())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn steps(seed: u64, count: usize) -> Vec<Step> {
        Schedule::new(seed).take(count).collect()
    }

    #[test]
    fn a_seed_is_always_the_same_schedule_and_another_seed_another() {
        assert_eq!(steps(7, 200), steps(7, 200));
        assert_ne!(steps(7, 200), steps(8, 200));
    }

    #[test]
    fn every_kind_comes_once_before_one_comes_again() {
        let all = steps(1, 3 * KINDS.len());
        for (round, dealt) in all.chunks(KINDS.len()).enumerate() {
            let kinds: BTreeSet<&str> = dealt.iter().map(|step| step.kind).collect();
            assert_eq!(kinds.len(), KINDS.len(), "in round {round}");
        }
        let orders: BTreeSet<Vec<&str>> =
            all.chunks(KINDS.len()).map(|dealt| dealt.iter().map(|step| step.kind).collect()).collect();
        assert_eq!(orders.len(), 3, "each round has an order of its own");
        assert!(all.iter().enumerate().all(|(index, step)| step.number == index + 1));
    }

    #[test]
    fn every_app_and_every_variant_has_its_turn() {
        let all = steps(1, 40 * KINDS.len());
        assert_eq!(all.iter().map(|step| step.app).collect::<BTreeSet<_>>().len(), APPS.len());
        let has = |is_it: fn(&Action) -> bool| all.iter().any(|step| is_it(&step.action));
        assert!(has(|action| matches!(action, Action::FullDisk { checked: true })));
        assert!(has(|action| matches!(action, Action::FullDisk { checked: false })));
        assert!(has(|action| matches!(action, Action::Fault(Fault::PauseEngine { seconds: 18 }, _))));
        assert!(has(|action| matches!(action, Action::Fault(Fault::CutEngine, _))));
        assert!(has(|action| matches!(action, Action::Fault(Fault::SlowEngine { .. }, _))));
        for signal in [Signal::KILL, Signal::TERM] {
            assert!(
                all.iter()
                    .any(|step| matches!(step.action, Action::Fault(Fault::RestartEngine(is), _) if is == signal))
            );
        }
        assert!(has(|action| matches!(action, Action::Fault(Fault::KillProxy, None))));
        assert!(has(|action| matches!(action, Action::Fault(Fault::KillProxy, Some(_)))));
    }
}
