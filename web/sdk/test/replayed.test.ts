/// <reference types="vite/client" />
import { expect, test } from "vitest";
import type { Message, ServerFrame } from "../src/proto.js";
import { applied, EMPTY, entered, type Timeline } from "../src/timeline.js";
import { ModelRoom } from "./model.js";
/** What the server has told in rooms where all kinds of things happened. Its own test writes it: tests/it/replayed/shared.rs. */
import TOLD from "./replayed.json?raw";

interface Visit {
  /** The newest messages, for somebody who came in then. */
  messages: Message[];
  /** What they get when they come back at the end. */
  missed: ServerFrame[];
}

interface Told {
  /** All that was told, in order. */
  frames: ServerFrame[];
  /** Who came in meanwhile, after how many frames is what they missed. */
  visits: Visit[];
  /** What it comes to. */
  messages: Message[];
}

const ROOMS: Told[] = JSON.parse(TOLD);

function follow(timeline: Timeline, frames: readonly ServerFrame[]): Timeline {
  return frames.reduce((before, frame) => applied(before, frame, null), timeline);
}

function came(messages: Message[]): Timeline {
  return entered(EMPTY, { ...new ModelRoom().state(null), messages });
}

for (const [number, { frames, visits, messages }] of ROOMS.entries()) {
  test(`room ${number} comes to what the server says`, () => {
    expect(frames.length).toBeGreaterThan(20);
    expect(follow(came([]), frames).latest.messages).toEqual(messages);
  });

  test(`room ${number} comes to the same for who comes in later, and for who was away`, () => {
    expect(visits.length).toBeGreaterThan(2);
    for (const { messages: found, missed } of visits) {
      const begun = frames.length - missed.length;
      const before = follow(came([]), frames.slice(0, begun)).latest.messages;
      expect(before.slice(-found.length || before.length)).toEqual(found);
      for (const rest of [frames.slice(begun), missed]) {
        const after = follow(came(found), rest).latest.messages;
        expect(after).toEqual(messages.slice(-after.length));
      }
    }
  });
}
