import { expect, test } from "vitest";
import { layersFor } from "../src/encodings.js";
import { SlotMap } from "../src/slots.js";
import { notBefore } from "../src/tile.js";

const slot = (
  mid: string,
  trackId: string | null,
  layer: number | null = null,
  rtpTimestamp: number | null = null,
) => ({
  mid,
  kind: "video" as const,
  participantId: trackId && `of-${trackId}`,
  trackId,
  layer,
  rtpTimestamp,
  paused: false,
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
  expect(slots.apply([slot("11", "a", 0), slot("12", null)]).map(({ mid }) => mid)).toEqual(["11"]);
  expect(slots.apply([slot("11", "a", 2)])).toEqual([]);
  expect(slots.apply([slot("11", "b", 0)]).map(({ mid }) => mid)).toEqual(["11"]);
  expect(slots.apply([slot("11", null)]).map(({ mid }) => mid)).toEqual(["11"]);
});

test("the first frame of a track stays known while the slot carries it", () => {
  const slots = new SlotMap();
  slots.apply([slot("11", "a")]);
  expect(slots.at("11")?.rtpTimestamp).toBeNull();
  slots.apply([slot("11", "a", 0, 9000)]);
  slots.apply([slot("11", "a", 2)]);
  expect(slots.at("11")?.rtpTimestamp).toBe(9000);
  slots.apply([slot("11", "b", 2)]);
  expect(slots.at("11")?.rtpTimestamp).toBeNull();
});

test("timestamps wrap", () => {
  expect(notBefore(3000, 3000)).toBe(true);
  expect(notBefore(2999, 3000)).toBe(false);
  expect(notBefore(5, 4_294_967_290)).toBe(true);
  expect(notBefore(4_294_967_290, 5)).toBe(false);
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
