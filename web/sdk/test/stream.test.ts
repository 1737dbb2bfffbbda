import { expect, test } from "vitest";
import { Stream } from "../src/stream.js";

test("events are applied in order, once, and a missing one is noticed", () => {
  const stream = new Stream();
  expect(stream.accept("a", 1)).toBe("gap");
  stream.reset({ epoch: "a", offset: 41 });
  expect(stream.accept("a", 42)).toBe("apply");
  expect(stream.accept("a", 42)).toBe("seen");
  expect(stream.accept("a", 12)).toBe("seen");
  expect(stream.accept("a", 44)).toBe("gap");
  // A gap does not move the position: it is what the room is joined again with.
  expect(stream.position).toEqual({ epoch: "a", offset: 42 });
  expect(stream.accept("a", 43)).toBe("apply");
});

test("another epoch is another stream", () => {
  const stream = new Stream();
  stream.reset({ epoch: "a", offset: 7 });
  expect(stream.accept("b", 8)).toBe("gap");
  stream.reset({ epoch: "b", offset: 0 });
  expect(stream.accept("b", 1)).toBe("apply");
});
