//! Hears the server ask for key frames. `webrtc` keeps inbound RTCP from the application unless an interceptor speaks up for
//! it, and then looks at the first packet of a compound only; so this one listens in the chain itself.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use rtc::interceptor::{Interceptor, Packet, Slot, StreamInfo, TaggedPacket};
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;
use webrtc::peer_connection::Registry;

/// The requests of one connection, counted.
#[derive(Clone, Default)]
pub(super) struct Requests(Arc<AtomicUsize>);

impl Requests {
    /// How many there were.
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Adds the listener to a chain, behind all the others.
    pub(super) fn watch(&self, registry: Registry) -> Registry {
        registry.with(Slot::from(usize::MAX), Listener { requests: self.clone(), ..Listener::default() })
    }
}

#[derive(Default)]
struct Listener {
    requests: Requests,
    reads: VecDeque<TaggedPacket>,
    writes: VecDeque<TaggedPacket>,
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for Listener {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, message: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(compound) = &message.message.packet {
            let parts = compound.iter().map(|packet| packet.as_any());
            let asks = parts.filter(|it| it.is::<PictureLossIndication>() || it.is::<FullIntraRequest>());
            self.requests.0.fetch_add(asks.count(), Ordering::Relaxed);
        }
        self.reads.push_back(message);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.reads.pop_front()
    }

    fn handle_write(&mut self, message: TaggedPacket) -> Result<(), Error> {
        self.writes.push_back(message);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.writes.pop_front()
    }
}

impl Interceptor for Listener {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}
