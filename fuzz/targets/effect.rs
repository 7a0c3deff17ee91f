//! Recorded effects, whatever their kinds and documents: what can be read is recorded and read again as the same, and
//! any series of them folds.
//!
//! A JSON array of effects: `[{"kind":"patch","json":{"a":1}}]`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use thalweg_core::Event;
use thalweg_core::effect::Effect;
use thalweg_core::records::Records;
use thalweg_core::event::RecordedEffect;

fuzz_target!(|data: &[u8]| {
    let Ok(effects) = serde_json::from_slice::<Vec<RecordedEffect>>(data) else { return };
    let mut records = Records::default();
    for recorded in effects {
        if let Ok(Some(effect)) = Effect::read(&recorded) {
            let reread = Effect::read(&effect.record()).unwrap();
            assert_eq!(reread, Some(effect));
        }
        let event = Event { sequence: 1, effects: vec![recorded], ..Event::new("e", 0) };
        let _ = records.fold_event(&event);
    }
});
