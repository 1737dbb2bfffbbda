import {
  Call,
  type CallSnapshot,
  type Feature,
  type PictureCodec,
  type Room,
  type RoomSnapshot,
  type TrackSource,
} from "@parlor/sdk";
import { useCallback, useEffect, useLayoutEffect, useState, useSyncExternalStore } from "react";
import { isOn } from "../place/place.ts";
import { parlor } from "../session.tsx";
import type { Capture, LocalMedia } from "./media.ts";

export function useCapture(media: LocalMedia): Capture {
  return useSyncExternalStore(
    useCallback((changed: () => void) => media.on("change", changed), [media]),
    () => media.capture,
  );
}

export function useRoom(room: Room): RoomSnapshot {
  return useSyncExternalStore(
    useCallback((changed: () => void) => room.on("change", changed), [room]),
    () => room.snapshot,
  );
}

export function useCall(call: Call): CallSnapshot {
  return useSyncExternalStore(
    useCallback((changed: () => void) => call.on("change", changed), [call]),
    () => call.snapshot,
  );
}

export function useSocketState() {
  return useSyncExternalStore(
    useCallback((changed: () => void) => parlor.socket.on("state", changed), []),
    () => parlor.socket.state,
  );
}

export interface Meeting {
  room: Room;
  call: Call;
}

/** Who wants to try another codec than the usual one sets `parlor.codec` in the browser's storage. */
function chosenCodec(): PictureCodec {
  const chosen = localStorage.getItem("parlor.codec");
  return chosen === "vp9" || chosen === "av1" ? chosen : "vp8";
}

const FEATURES = {
  microphone: "voice",
  camera: "video",
  screen: "share",
  screenAudio: "share",
} as const satisfies Record<TrackSource, Feature>;

/** What may be published in this place. */
function offeredSources(): TrackSource[] {
  return (Object.keys(FEATURES) as TrackSource[]).filter((source) => isOn(FEATURES[source]));
}

/** Joins the room, and its call where there is one to take part in, for as long as the component lives. */
export function useMeeting(roomId: string, calls = true): Meeting | null {
  const [meeting, setMeeting] = useState<Meeting | null>(null);
  useEffect(() => {
    const room = parlor.room(roomId);
    const call = new Call(room, { codec: chosenCodec(), sources: offeredSources() });
    // The call needs the room: it is joined with the first state that comes, again when the room refused at first.
    const off = room.on("state", () => {
      if (calls && call.snapshot.phase === "idle") void call.join();
    });
    room.join();
    setMeeting({ room, call });
    const leave = () => {
      off();
      call.leave();
      room.leave();
    };
    window.addEventListener("pagehide", leave);
    return () => {
      window.removeEventListener("pagehide", leave);
      leave();
      setMeeting(null);
    };
  }, [roomId, calls]);
  return meeting;
}

/** Publishes what is captured, and tells the others what is off. */
export function usePublishing(call: Call, capture: Capture): void {
  const { microphone, camera, screen, screenAudio, shareMode, microphoneOn } = capture;
  useTrack(call, "microphone", microphone, !microphoneOn || !microphone);
  useTrack(call, "camera", camera, !camera);
  // Before the screen itself: a share begins as what it is for.
  useEffect(() => {
    void call.shareMode(shareMode);
  }, [call, shareMode]);
  useTrack(call, "screen", screen, !screen);
  useTrack(call, "screenAudio", screenAudio, !screenAudio);
}

function useTrack(call: Call, source: TrackSource, track: MediaStreamTrack | null, muted: boolean): void {
  useEffect(() => {
    void call.publish(source, track);
  }, [call, source, track]);
  useEffect(() => {
    call.mute(source, muted);
  }, [call, source, muted]);
}

/** The size of an element, in CSS pixels. */
export function useSize(element: HTMLElement | null): { width: number; height: number } {
  const [size, setSize] = useState({ width: 0, height: 0 });
  useLayoutEffect(() => {
    if (!element) return;
    const observer = new ResizeObserver(([entry]) => {
      if (entry) setSize({ width: entry.contentRect.width, height: entry.contentRect.height });
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [element]);
  return size;
}

/** Whether a media query holds. */
export function useMedia(query: string): boolean {
  return useSyncExternalStore(
    useCallback(
      (changed: () => void) => {
        const list = matchMedia(query);
        list.addEventListener("change", changed);
        return () => list.removeEventListener("change", changed);
      },
      [query],
    ),
    () => matchMedia(query).matches,
  );
}

/** How many messages came since the chat was last open. */
export function useUnread(count: number, open: boolean): number {
  const [seen, setSeen] = useState<number | null>(null);
  useEffect(() => {
    // What was there at the entry is not news.
    if (open || (seen === null && count > 0) || (seen !== null && count < seen)) setSeen(count);
  }, [count, open, seen]);
  return open || seen === null ? 0 : Math.max(0, count - seen);
}
