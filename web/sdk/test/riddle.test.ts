import { expect, test } from "vitest";
import { sha256, solve } from "../src/riddle.js";

async function digest(text: string): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

test("the hash is that of another implementation, whatever the length", async () => {
  for (let length = 0; length < 200; length += 1) {
    const text = "ä7?".repeat(length).slice(0, length);
    expect(sha256(text)).toBe(await digest(text));
  }
});

test("a riddle is solved, and one without a solution is given up", async () => {
  const riddle = { salt: "ab12?expires=1900000000&", maxnumber: 5_000, signature: "s" };
  const challenge = await digest(`${riddle.salt}4321`);
  await expect(solve({ ...riddle, challenge })).resolves.toEqual({
    challenge,
    salt: riddle.salt,
    signature: "s",
    number: 4321,
  });
  await expect(solve({ ...riddle, challenge, maxnumber: 4_320 })).resolves.toBeNull();
});
