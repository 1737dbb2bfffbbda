//! The dependency descriptor (AV1 RTP specification, appendix A): a header extension that says of each frame which decode targets
//! need it, without a look at the payload. Its templates come with key frames and are kept per stream.

use super::bits::Bits;
use super::{Descriptor, MOST_SPATIAL, MOST_TEMPORAL, Structure, Width};

/// The longest descriptor that a two-byte header extension can carry (RFC 8285 §4.3).
pub const MOST_BYTES: usize = 255;
/// Templates: their ids have six bits.
const MOST_TEMPLATES: usize = 64;
/// Decode targets: their number has five bits.
const MOST_TARGETS: usize = 32;
/// Pairs of a spatial and a temporal layer that we tell apart.
const PAIRS: usize = MOST_SPATIAL as usize * MOST_TEMPORAL as usize;

/// A decode target indication (A.8.3, table A.1).
const NOT_PRESENT: u64 = 0;
const SWITCH: u64 = 2;

/// What a decode target is to a frame: two bits for each of 32 targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Indications(u64);

impl Indications {
    fn read(bits: &mut Bits<'_>, targets: usize) -> Option<Indications> {
        let mut all = 0;
        for target in 0..targets {
            all |= u64::from(bits.take(2)?) << (2 * target);
        }
        Some(Indications(all))
    }

    fn of(self, target: u8) -> u64 {
        self.0 >> (2 * target) & 3
    }
}

/// What frames of one kind have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Template {
    spatial: u8,
    temporal: u8,
    indications: Indications,
    /// It refers to nothing but frames of lower spatial layers of its own picture: those are that many numbers before it at most.
    near: bool,
    /// As in [`Descriptor`], with the indications of the template.
    needed: u16,
    lifts: u8,
}

/// The template dependency structure of a stream (A.8.2), of its last key frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Templates {
    offset: u8,
    count: usize,
    targets: usize,
    chains: u32,
    /// Spatial and temporal layer of each decode target.
    layers: [(u8, u8); MOST_TARGETS],
    /// Decode targets that the encoder still makes.
    active: u32,
    /// The decode target that stands for each pair of layers.
    target_of: [u8; PAIRS],
    templates: [Template; MOST_TEMPLATES],
}

/// The flags of the extended fields (A.8.1).
#[derive(Default)]
struct Custom {
    indications: bool,
    references: bool,
    chains: bool,
}

/// Reads a descriptor; `None` when it makes no sense or its templates have not come.
pub(super) fn describe(bytes: &[u8], structure: &mut Structure) -> Option<Descriptor> {
    if bytes.len() > MOST_BYTES {
        return None;
    }
    let mut bits = Bits::new(bytes);
    let mut descriptor = Descriptor {
        frame_start: bits.flag()?,
        frame_end: bits.flag()?,
        picture_id_at: 1,
        picture_id_width: Width::Extension,
        ..Descriptor::EMPTY
    };
    let id = bits.take(6)? as u8;
    descriptor.picture_id = bits.take(16)? as u16;
    let mut custom = Custom::default();
    if bytes.len() > 3 {
        let (comes, chooses) = (bits.flag()?, bits.flag()?);
        custom = Custom { indications: bits.flag()?, references: bits.flag()?, chains: bits.flag()? };
        if comes {
            let mut templates = structure.templates.take().unwrap_or_default();
            let sizes = templates.read(&mut bits)?;
            structure.sizes = sizes.unwrap_or(structure.sizes);
            structure.templates = Some(templates);
        }
        let templates = structure.templates.as_mut()?;
        if chooses {
            templates.active = bits.take(templates.targets as u32)?;
        }
        if comes || chooses {
            templates.settle();
            (structure.spatial_layers, structure.temporal_layers) = templates.counts();
        }
    }
    let templates = structure.templates.as_ref()?;
    let at = usize::from((id + 64 - templates.offset) % 64);
    let mut template = *templates.templates[..templates.count].get(at)?;
    if custom.indications {
        template.indications = Indications::read(&mut bits, templates.targets)?;
        templates.weigh(&mut template);
    }
    if custom.references {
        template.near = near_references(&mut bits, template.spatial)?;
    }
    if custom.chains {
        // Chains tell whether a lost frame mattered; what is lost is asked for again in any case.
        (0..templates.chains).try_for_each(|_| bits.take(8).map(|_| ()))?;
    }
    (descriptor.spatial, descriptor.temporal) = (template.spatial, template.temporal);
    (descriptor.needed, descriptor.lifts) = (template.needed, template.lifts);
    let own = templates.target_of[usize::from(template.spatial * MOST_TEMPORAL + template.temporal)];
    let switches = template.indications.of(own) == SWITCH;
    descriptor.spatial_switch = descriptor.frame_start && template.near && switches;
    Some(descriptor)
}

/// `frame_fdiffs()` of A.8.3: whether all references are near.
fn near_references(bits: &mut Bits<'_>, spatial: u8) -> Option<bool> {
    let mut near = true;
    loop {
        let size = bits.take(2)?;
        if size == 0 {
            return Some(near);
        }
        near &= bits.take(4 * size)? < u32::from(spatial);
    }
}

impl Default for Templates {
    fn default() -> Templates {
        Templates {
            offset: 0,
            count: 0,
            targets: 1,
            chains: 0,
            layers: [(0, 0); MOST_TARGETS],
            active: 1,
            target_of: [0; PAIRS],
            templates: [Template::default(); MOST_TEMPLATES],
        }
    }
}

impl Templates {
    /// `template_dependency_structure()`. Answers the spatial layers' sizes, if they come with it.
    fn read(&mut self, bits: &mut Bits<'_>) -> Option<Option<[(u16, u16); MOST_SPATIAL as usize]>> {
        self.offset = bits.take(6)? as u8;
        self.targets = bits.take(5)? as usize + 1;
        let highest = self.read_layers(bits)?;
        for template in &mut self.templates[..self.count] {
            template.indications = Indications::read(bits, self.targets)?;
        }
        for template in &mut self.templates[..self.count] {
            template.near = true;
            while bits.flag()? {
                template.near &= bits.take(4)? < u32::from(template.spatial);
            }
        }
        self.chains = bits.below(self.targets as u32 + 1)?;
        if self.chains > 0 {
            for _ in 0..self.targets {
                bits.below(self.chains)?;
            }
            for _ in 0..self.count * self.chains as usize {
                bits.take(4)?;
            }
        }
        self.active = u32::MAX >> (MOST_TARGETS - self.targets);
        if !bits.flag()? {
            return Some(None);
        }
        let mut sizes = [(0, 0); MOST_SPATIAL as usize];
        for layer in 0..=highest {
            let size = (bits.take(16)? as u16, bits.take(16)? as u16);
            if let Some(place) = sizes.get_mut(layer) {
                *place = (size.0.saturating_add(1), size.1.saturating_add(1));
            }
        }
        Some(Some(sizes))
    }

    /// `template_layers()`. Answers the highest spatial layer.
    fn read_layers(&mut self, bits: &mut Bits<'_>) -> Option<usize> {
        let (mut spatial, mut temporal) = (0u8, 0u8);
        self.count = 0;
        loop {
            let place = self.templates.get_mut(self.count)?;
            place.spatial = spatial.min(MOST_SPATIAL - 1);
            place.temporal = temporal.min(MOST_TEMPORAL - 1);
            self.count += 1;
            match bits.take(2)? {
                0 => {}
                1 => temporal += 1,
                2 => (spatial, temporal) = (spatial + 1, 0),
                _ => return Some(usize::from(spatial)),
            }
        }
    }

    /// Works out which decode target stands for which layers, and what the templates are to those.
    fn settle(&mut self) {
        for target in 0..self.targets {
            // `decode_target_layers()`: the highest layers of the frames that are present in it.
            let present =
                self.templates[..self.count].iter().filter(|it| it.indications.of(target as u8) != NOT_PRESENT);
            self.layers[target] =
                present.fold((0, 0), |highest, it| (highest.0.max(it.spatial), highest.1.max(it.temporal)));
        }
        for (pair, place) in self.target_of.iter_mut().enumerate() {
            let (spatial, temporal) =
                ((pair / usize::from(MOST_TEMPORAL)) as u8, (pair % usize::from(MOST_TEMPORAL)) as u8);
            let active = (0..self.targets).filter(|target| self.active >> target & 1 == 1);
            let layers = &self.layers;
            let within = active.clone().filter(|at| layers[*at].0 <= spatial && layers[*at].1 <= temporal);
            // Where the encoder makes nothing so low, the lowest that it makes.
            let best = within.max_by_key(|at| layers[*at]).or_else(|| active.min_by_key(|at| layers[*at]));
            *place = best.unwrap_or(0) as u8;
        }
        for at in 0..self.count {
            let mut template = self.templates[at];
            self.weigh(&mut template);
            self.templates[at] = template;
        }
    }

    /// Who needs a frame with these indications, and whom it lifts.
    fn weigh(&self, template: &mut Template) {
        (template.needed, template.lifts) = (0, 0);
        for (pair, target) in self.target_of.iter().enumerate() {
            let present = template.indications.of(*target) != NOT_PRESENT;
            template.needed |= u16::from(present) << pair;
        }
        // A frame that a higher spatial layer refers to says nothing of who watches that: its own frame of the picture does.
        for temporal in 0..MOST_TEMPORAL {
            let target = self.target_of[usize::from(template.spatial * MOST_TEMPORAL + temporal)];
            template.lifts |= u8::from(template.indications.of(target) == SWITCH) << temporal;
        }
    }

    /// How many spatial and temporal layers the encoder makes.
    fn counts(&self) -> (u8, u8) {
        let active = (0..self.targets).filter(|target| self.active >> target & 1 == 1);
        active.fold((1, 1), |most, at| (most.0.max(self.layers[at].0 + 1), most.1.max(self.layers[at].1 + 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Writes bits for the tests.
    #[derive(Default)]
    struct Writer(Vec<bool>);

    impl Writer {
        fn put(&mut self, value: u32, count: u32) -> &mut Self {
            self.0.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
            self
        }

        fn bytes(&self) -> Vec<u8> {
            let byte =
                |bits: &[bool]| bits.iter().enumerate().fold(0, |byte, (at, bit)| byte | u8::from(*bit) << (7 - at));
            self.0.chunks(8).map(byte).collect()
        }
    }

    /// A frame of L2T2_KEY with the template structure: targets are (0,0) (0,1) (1,0) (1,1). Templates, as libwebrtc has them:
    /// S0T0 key, S0T0, S0T1, S1T0 key, S1T0, S1T1.
    fn structured(id: u32, number: u32) -> Vec<u8> {
        let mut bits = Writer::default();
        bits.put(0b11, 2).put(id, 6).put(number, 16).put(0b1_0000, 5);
        bits.put(0, 6).put(3, 5);
        for next in [0, 1, 2, 0, 1, 3] {
            bits.put(next, 2);
        }
        let (not, low, switch, required) = (0, 1, 2, 3);
        for row in [
            [switch, switch, switch, switch],
            [switch, switch, not, not],
            [not, low, not, not],
            [not, not, switch, switch],
            [not, not, required, required],
            [not, not, not, low],
        ] {
            row.into_iter().for_each(|indication| {
                bits.put(indication, 2);
            });
        }
        for references in [&[][..], &[4], &[2], &[1], &[4], &[2]] {
            for reference in references {
                bits.put(1, 1).put(reference - 1, 4);
            }
            bits.put(0, 1);
        }
        // Two of at most four chains, `ns(5)`; which one protects each target; then their differences.
        bits.put(2, 2).put(0b0011, 4);
        for difference in [0, 0, 4, 3, 2, 1, 1, 1, 4, 4, 2, 1] {
            bits.put(difference, 4);
        }
        bits.put(1, 1).put(319, 16).put(179, 16).put(639, 16).put(359, 16);
        bits.bytes()
    }

    fn frame(id: u8, number: u16, structure: &mut Structure) -> Option<Descriptor> {
        let number = number.to_be_bytes();
        describe(&[0xc0 | id, number[0], number[1]], structure)
    }

    #[test]
    fn templates_say_who_needs_a_frame() {
        let mut structure = Structure::default();
        let key = describe(&structured(0, 0xfffe), &mut structure).expect("a whole structure");
        assert!(key.frame_start && key.frame_end && key.spatial_switch && key.lifts_to(2));
        assert_eq!((key.picture_id, structure.spatial_layers, structure.temporal_layers), (0xfffe, 2, 2));
        assert_eq!(structure.sizes[..2], [(320, 180), (640, 360)]);
        assert!((0..2).all(|spatial| key.is_needed(spatial, 0)));

        let upper = frame(3, 0xffff, &mut structure).expect("a known template");
        assert!(upper.spatial_switch && upper.spatial == 1 && !upper.is_needed(0, 3) && upper.is_needed(1, 0));
        let lower = frame(1, 0, &mut structure).expect("a known template");
        assert!(lower.is_needed(0, 0) && !lower.is_needed(1, 1), "nothing above refers to it");
        assert!(!lower.spatial_switch && lower.lifts_to(1));
        let low = frame(5, 1, &mut structure).expect("a known template");
        assert!((low.spatial, low.temporal) == (1, 1) && !low.is_needed(1, 0) && low.is_needed(3, 3));
        assert!(!low.lifts_to(1));
        let required = frame(4, 1, &mut structure).expect("a known template");
        assert!(required.is_needed(1, 0) && !required.lifts_to(1) && !required.spatial_switch);
    }

    #[test]
    fn targets_that_are_no_longer_made_stand_for_nothing() {
        let mut structure = Structure::default();
        describe(&structured(0, 1), &mut structure).expect("a whole structure");
        // Only the targets of the lowest spatial layer.
        let mut bits = Writer::default();
        bits.put(0b11, 2).put(1, 6).put(2, 16).put(0b0_1000, 5).put(0b0011, 4);
        let lower = describe(&bits.bytes(), &mut structure).expect("a known template");
        assert_eq!((structure.spatial_layers, structure.temporal_layers), (1, 2));
        assert!(lower.is_needed(1, 1), "who wants the upper layer gets what there is");
    }

    #[test]
    fn a_frame_may_have_indications_and_references_of_its_own() {
        let mut structure = Structure::default();
        describe(&structured(0, 1), &mut structure).expect("a whole structure");
        let mut bits = Writer::default();
        bits.put(0b11, 2).put(4, 6).put(2, 16).put(0b0_0111, 5);
        bits.put(0b00_00_10_00, 8);
        bits.put(1, 2).put(0, 4).put(0, 2);
        bits.put(9, 8).put(1, 8);
        let custom = describe(&bits.bytes(), &mut structure).expect("a known template");
        assert!(custom.is_needed(1, 0) && !custom.is_needed(1, 1) && custom.spatial_switch);
        assert!(describe(&bits.bytes()[..6], &mut structure).is_none(), "cut short");
    }

    #[test]
    fn what_is_not_known_is_not_read() {
        let mut structure = Structure::default();
        assert_eq!(frame(1, 2, &mut structure), None);
        describe(&structured(0, 1), &mut structure).expect("a whole structure");
        assert_eq!(frame(6, 2, &mut structure), None, "there are six templates");
        for len in 0..structured(0, 1).len() {
            let _ = describe(&structured(0, 1)[..len], &mut structure);
        }
        assert_eq!(frame(1, 2, &mut structure), None, "a broken structure takes the old one's place");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_096))]

        #[test]
        fn no_bytes_make_it_panic(
            first in proptest::collection::vec(any::<u8>(), 0..260),
            rest in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8),
            cut in any::<prop::sample::Index>(),
            wrong in any::<u8>(),
        ) {
            let mut structure = Structure::default();
            let mut known = structured(0, 1);
            let at = cut.index(known.len());
            known[at] ^= wrong;
            for bytes in [first, known].into_iter().chain(rest) {
                let _ = describe(&bytes, &mut structure);
            }
        }
    }
}
