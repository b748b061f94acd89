//! One decision, as the gateway makes it of a request that it has read: what the prompt is known by, who has the model,
//! and the plan. It forwards nothing and takes no slot.

use std::hint::black_box;
use std::ops::Range;

use anyhow::{Result, anyhow};
use http::HeaderMap;
use nexus::dialect::{self, Inspection};
use nexus::env::Dice;
use nexus::exchange::{Endpoint, Origin};
use nexus::gateway::survey;
use nexus::route::{self, Chance, Fee, Intent, Plan, Prompt, Rules, TierMode};
use rand::SeedableRng;

use crate::cells::Cell;
use crate::prompt;
use crate::setting::{Setting, model_at};

/// A request that waits to be decided on.
pub(crate) struct Decision<'a> {
    pub(crate) cell: Cell,
    pub(crate) setting: &'a Setting,
    rules: Rules,
    asked: Inspection,
    headers: HeaderMap,
}

impl<'a> Decision<'a> {
    pub(crate) fn new(setting: &'a Setting, cell: Cell) -> Result<Self> {
        let config = route::Config { strategy: Some(cell.strategy), ..route::Config::default() };
        let rules = Rules::new(&config).map_err(|problems| anyhow!("{problems:?}"))?;
        let asked = prompt::asked(&model_at(cell.candidates), setting.kib)?;
        Ok(Decision { cell, setting, rules, asked, headers: prompt::headers()? })
    }

    /// How many marks the prompt has.
    pub(crate) fn marks(&self) -> usize {
        self.asked.prefix.as_ref().map_or(0, |prefix| prefix.marks.len())
    }

    /// What is measured.
    #[inline(never)]
    pub(crate) fn plan(&self, turn: u64) -> Plan {
        let chain = self.rules.chain(&self.asked.model);
        let prefix = dialect::prefix_of(&self.asked, &self.headers, false);
        let world = survey(&chain, &self.setting.sources(), &Origin::Client, prefix.as_ref(), &|_, _| Fee::Free);
        let intent = Intent {
            most: None,
            money: None,
            endpoint: Some(Endpoint::ChatCompletions),
            needs: self.asked.needs,
            prompt: prefix.as_ref().map(|prefix| Prompt {
                key: prefix.key,
                bytes: prefix.bytes(),
                named: prefix.explicit,
            }),
            mode: TierMode::Strict,
            floors: None,
            may_hop: true,
            may_fall_back: true,
        };
        let mut dice = Dice::seed_from_u64(turn);
        route::plan(&intent, &chain, &self.rules, &world, &mut Chance { turn, dice: &mut dice })
    }

    /// Decides again and again.
    pub(crate) fn repeat(&self, turns: Range<u64>) {
        for turn in turns {
            black_box(self.plan(black_box(turn)));
        }
    }
}
