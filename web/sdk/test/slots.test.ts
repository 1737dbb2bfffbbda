import { expect, test } from "vitest";
import { layersFor } from "../src/encodings.js";
import { SlotMap } from "../src/slots.js";

const slot = (mid: string, trackId: string | null, layer: string | null = null) => ({
  mid,
  kind: "video" as const,
  participantId: trackId && `of-${trackId}`,
  trackId,
  layer,
});

test("a track is found in the slot that carries it", () => {
  const slots = new SlotMap();
  slots.apply([slot("11", "a"), slot("12", "b")]);
  expect(slots.of("b")?.mid).toBe("12");
  slots.apply([slot("11", null), slot("12", "a")]);
  expect(slots.of("a")?.mid).toBe("12");
  expect(slots.of("b")).toBeNull();
});

test("only another source is a change: another layer, or the same again, hides nothing", () => {
  const slots = new SlotMap();
  expect(slots.apply([slot("11", "a", "q"), slot("12", null)]).map(({ mid }) => mid)).toEqual(["11"]);
  expect(slots.apply([slot("11", "a", "f")])).toEqual([]);
  expect(slots.apply([slot("11", "b", "q")]).map(({ mid }) => mid)).toEqual(["11"]);
  expect(slots.apply([slot("11", null)]).map(({ mid }) => mid)).toEqual(["11"]);
});

test("a small capture keeps its size in the lowest layer", () => {
  expect(layersFor(1280).map(({ scaleResolutionDownBy, active }) => active && scaleResolutionDownBy)).toEqual(
    [4, 2, 1],
  );
  expect(layersFor(640).map(({ scaleResolutionDownBy, active }) => active && scaleResolutionDownBy)).toEqual([
    2,
    1,
    false,
  ]);
  expect(layersFor(320).map(({ scaleResolutionDownBy, active }) => active && scaleResolutionDownBy)).toEqual([
    1,
    false,
    false,
  ]);
});
