//! What is known of all keys at one instant, in the form in which requests need it. It never changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use subtle::ConstantTimeEq;

use crate::exchange::{Caller, Quota};
use crate::fleet::KeyRecord;

/// All keys at one instant.
pub(super) struct Shown {
    pub(super) known: BTreeMap<String, Known>,
    good: Vec<([u8; 32], Arc<Caller>)>,
    /// A hash of all records; `None` where others may know keys that are not known here.
    pub(super) hash: Option<Arc<str>>,
}

/// One key.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) record: KeyRecord,
    /// The record as it is told and written.
    pub(super) text: Arc<str>,
    digest: [u8; 32],
    caller: Arc<Caller>,
}

impl Known {
    /// `None` where it makes no sense.
    pub(super) fn of(record: KeyRecord) -> Option<Self> {
        let digest = record.digest().filter(|_| record.is_sound())?;
        let quota = Quota {
            id: record.id.clone(),
            holder: Some(record.holder.clone()).filter(|holder| !holder.is_empty()),
            limits: record.limits(),
        };
        let caller = Arc::new(Caller::new(record.name.clone(), record.models.as_deref(), quota).ok()?);
        let text = serde_json::to_string(&record).ok()?.into();
        Some(Known { record, text, digest, caller })
    }
}

impl Shown {
    /// `settled`: a mesh has been met, and knew no others. Who knows a key has met it.
    pub(super) fn of(known: BTreeMap<String, Known>, settled: bool) -> Self {
        let active = known.values().filter(|one| one.record.is_active());
        let good = active.map(|one| (one.digest, one.caller.clone())).collect();
        let hash = (settled || !known.is_empty()).then(|| {
            let mut hasher = blake3::Hasher::new();
            for one in known.values() {
                hasher.update(one.text.as_bytes()).update(b"\n");
            }
            hasher.finalize().to_hex()[..16].into()
        });
        Shown { known, good, hash }
    }

    /// Whether nobody is expected to know other keys.
    pub(super) fn is_settled(&self) -> bool {
        self.hash.is_some()
    }

    /// Whose key has this hash. Every key is compared, so that the time taken tells nothing.
    pub(super) fn caller(&self, digest: &[u8; 32]) -> Option<Arc<Caller>> {
        let mut found = None;
        for (known, caller) in &self.good {
            if bool::from(known.ct_eq(digest)) {
                found = Some(caller.clone());
            }
        }
        found
    }
}
