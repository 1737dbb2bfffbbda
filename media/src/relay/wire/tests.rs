use super::*;
use proptest::prelude::*;

fn written(records: &[Record<'_>]) -> Vec<u8> {
    let mut batch = Vec::new();
    records.iter().for_each(|record| record.write(&mut batch));
    batch
}

#[test]
fn what_is_written_is_read_back() {
    let figures = LayerFigures { width: 320, temporal_layers: 2, bps: [1, 2, 3, 4] };
    let camera = Announced {
        name: 7 << 32 | 9,
        track: TrackId(1),
        participant: ParticipantId(2),
        source: Source::Camera,
        codec: Codec::Vp9,
        active: true,
        muted: false,
        sent: 5,
        offered: 7,
        layers: 3,
        figures: [figures; MOST_LAYERS],
    };
    let of = Of { name: 3, layer: 2, epoch: 9 };
    let mut bytes = Vec::new();
    let voiced = Voiced { track: TrackId(5), level: -30, chosen: true, speaks: false };
    let media = Media {
        of,
        index: 70_000,
        timestamp: 8,
        marker: true,
        level: 40,
        primary_at: 2,
        dependency: &[1, 2],
        payload: &[3, 4, 5],
    };
    let all = [
        Record::Track(camera),
        Record::Gone(3),
        Record::Wanted { name: 4, layers: 1, watched: 7 },
        Record::Keyframe { name: 4, layers: 2 },
        Record::Media(media),
        Record::LeftOut { of, first: 5, count: 6 },
        Record::Report { of, ntp: 1 << 40, timestamp: 3, clock_us: Some(-4) },
        Record::Choice { spotlight: Some(ParticipantId(6)), voices: voices(&mut bytes, [voiced].into_iter()) },
        Record::Refresh,
        Record::Begin,
        Record::End,
    ];
    let batch = written(&all);
    let read: Vec<_> = records(&batch).map(|record| record.expect("a good record")).collect();
    assert_eq!(read, all);
    let Record::Choice { voices, .. } = read[7] else { panic!("the choice") };
    assert_eq!(voices.iter().collect::<Vec<_>>(), [voiced]);
}

#[test]
fn a_head_is_read_back_and_another_version_is_not() {
    let head = Head { call: CallId(9), mine: 1, yours: 2, number: 3, over: true };
    let mut batch = vec![0; HEAD_LEN];
    head.write(&mut batch);
    batch.push(7);
    assert_eq!(Head::read(&batch), Some((head, &[7][..])));
    assert_eq!(Head::read(&batch[..HEAD_LEN - 1]), None);
    batch[0] = VERSION + 1;
    assert_eq!(Head::read(&batch), None);
}

#[test]
fn a_kind_that_is_not_known_is_passed_over() {
    let mut batch = vec![99, 0, 2, 1, 1];
    batch.extend(written(&[Record::Refresh]));
    assert_eq!(records(&batch).collect::<Vec<_>>(), [Some(Record::Refresh)]);
}

proptest! {
    /// Whatever comes, reading ends, and there are no more records than bytes for them.
    #[test]
    fn nonsense_is_read_to_its_end(bytes in proptest::collection::vec(any::<u8>(), 0..600), kind in 0u8..13) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = kind;
        }
        prop_assert!(records(&bytes).count() <= bytes.len() / 3 + 1);
        let _ = Head::read(&bytes);
    }
}
