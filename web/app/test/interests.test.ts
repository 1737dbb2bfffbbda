import { expect, test } from "vitest";
import { interestLength, LONGEST_INTEREST, normalInterest, withInterests } from "../src/match/interests.ts";

test("an interest is compared without case and without spaces that nobody sees", () => {
  expect(normalInterest("  Board   Games ")).toBe("board games");
  expect(normalInterest("CAFÉ")).toBe(normalInterest("cafe\u0301"));
  expect(normalInterest(" \t ")).toBe("");
});

test("a line may hold several; each is taken once", () => {
  expect(withInterests(["chess"], "Chess, go;  Rust ,,")).toEqual(["chess", "go", "rust"]);
});

test("there are no more than ten, and none is too long", () => {
  const twelve = Array.from({ length: 12 }, (_, index) => `i${index}`).join(",");
  expect(withInterests([], twelve)).toHaveLength(10);
  expect(withInterests([], "x".repeat(LONGEST_INTEREST))).toHaveLength(1);
  expect(withInterests([], "x".repeat(LONGEST_INTEREST + 1))).toEqual([]);
  // Counted as the server counts: by characters, not by halves of them.
  expect(interestLength("🎲".repeat(LONGEST_INTEREST))).toBe(LONGEST_INTEREST);
  expect(withInterests([], "🎲".repeat(LONGEST_INTEREST))).toHaveLength(1);
});
