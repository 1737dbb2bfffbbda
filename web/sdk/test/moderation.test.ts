import { expect, test } from "vitest";
import { Api } from "../src/api.js";
import { Moderation } from "../src/moderation.js";

/** A desk whose server answers every call with the same, and what was asked of it. */
function desk(answer: () => Response) {
  const asked: { what: string; body: unknown }[] = [];
  const api = new Api("", async (input, init) => {
    const path = String(input).replace("/api/v1", "");
    if (path.startsWith("/auth/"))
      return Response.json({ accessToken: "A", expiresInS: 900, user: { id: "u" } }, { status: 201 });
    const token = new Headers(init?.headers).get("authorization");
    asked.push({
      what: `${init?.method} ${path} ${token}`,
      body: init?.body ? JSON.parse(String(init.body)) : undefined,
    });
    return answer();
  });
  return { desk: new Moderation(api), asked };
}

test("a page of cases is asked for by filter and by the last one seen", async () => {
  const { desk: moderation, asked } = desk(() => Response.json({ cases: [], open: 3 }));
  expect((await moderation.cases("open")).open).toBe(3);
  await moderation.cases("resolved", "c1", 10);
  expect(asked.map(({ what }) => what)).toEqual([
    "GET /moderation/cases?status=open&limit=50 Bearer A",
    "GET /moderation/cases?status=resolved&before=c1&limit=10 Bearer A",
  ]);
});

test("an action carries its reason, and a duration only when it has one", async () => {
  const { desk: moderation, asked } = desk(() => Response.json({}));
  await moderation.act("c1", { action: "dismiss", reason: "a game" });
  await moderation.act("c/2", { action: "ban", reason: "again", durationS: 86_400 });
  await moderation.liftBan("b1", "appealed");
  expect(asked).toEqual([
    {
      what: "POST /moderation/cases/c1/actions Bearer A",
      body: { action: "dismiss", reason: "a game" },
    },
    {
      what: "POST /moderation/cases/c%2F2/actions Bearer A",
      body: { action: "ban", reason: "again", durationS: 86_400 },
    },
    { what: "DELETE /moderation/bans/b1 Bearer A", body: { reason: "appealed" } },
  ]);
});

test("evidence is fetched with the token, as bytes", async () => {
  const { desk: moderation, asked } = desk(
    () => new Response(new Uint8Array([1, 2, 3]), { headers: { "content-type": "image/webp" } }),
  );
  const picture = await moderation.evidence("e1");
  expect([picture.type, picture.size]).toEqual(["image/webp", 3]);
  expect(asked[0]?.what).toBe("GET /moderation/evidence/e1 Bearer A");
});

test("a case that somebody else has is a conflict, and says who", async () => {
  const claimedBy = { userId: "b", nickname: "bob", until: "2026-01-31T09:30:00.000Z" };
  const { desk: moderation } = desk(() =>
    Response.json({ code: "conflict", detail: "bob has this case.", extra: { claimedBy } }, { status: 409 }),
  );
  await expect(moderation.claim("c1")).rejects.toMatchObject({
    code: "conflict",
    message: "bob has this case.",
    detail: { claimedBy },
  });
});
