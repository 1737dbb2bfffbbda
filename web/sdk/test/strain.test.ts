import { expect, test } from "vitest";
import { isLimited, Strain } from "../src/strain.js";

test("a device that is short of processor time asks for less, and for more again once it has been calm", () => {
  const strain = new Strain();
  expect(strain.look(true)).toBe(false);
  expect(strain.width(1280)).toBe(1280);
  expect(strain.look(true)).toBe(true);
  expect(strain.width(1280)).toBe(640);
  for (let look = 0; look < 10; look += 1) strain.look(true);
  expect(strain.width(1280)).toBe(320);
  for (let look = 0; look < 5; look += 1) expect(strain.look(false)).toBe(false);
  expect(strain.look(false)).toBe(true);
  expect(strain.width(1280)).toBe(640);
  for (let look = 0; look < 20; look += 1) strain.look(false);
  expect(strain.width(1280)).toBe(1280);
});

test("only an encoder that the processor holds back counts", () => {
  const report = (type: string, qualityLimitationReason?: string) =>
    new Map([["id", { type, ...(qualityLimitationReason ? { qualityLimitationReason } : {}) }]]);
  expect(isLimited(report("outbound-rtp", "cpu"))).toBe(true);
  expect(isLimited(report("outbound-rtp", "bandwidth"))).toBe(false);
  expect(isLimited(report("inbound-rtp"))).toBe(false);
});
