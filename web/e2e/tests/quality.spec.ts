import { expect, meet, seeAndHearEachOther, test } from "../meeting.ts";
import { openRoad } from "../road.ts";

/** Not every machine that runs this bears all pictures, and then it is said: good is good enough. */
const FINE = /^(excellent|good)$/;

for (const kind of ["chromium", "firefox"] as const) {
  test(`everybody sees whose line is poor, and why (${kind})`, async ({ server, person }) => {
    const [ada, ben] = [await person("chromium", "ada", { id: 1 }), await person(kind, "ben", { id: 2 })];
    const road = await openRoad(ben.page, { up: 0, down: 0 });
    await meet(server, [ada, ben]);
    await seeAndHearEachOther([ada, ben]);
    const ofBen = ada.tile("ben").getByTestId("signal");
    const ownOf = ({ page }: typeof ada) => page.locator("[data-self]").getByTestId("signal");
    for (const signal of [ofBen, ownOf(ada), ownOf(ben), ben.tile("ada").getByTestId("signal")])
      await expect(signal).toHaveAttribute("data-level", FINE);
    await expect(ofBen).toHaveAccessibleName(/^(Excellent|Good) connection/);
    await expect(ben.page.getByTestId("connection")).toBeEmpty();

    road.losses.up = 30;
    await expect(ofBen).toHaveAttribute("data-level", "poor");
    await expect(ofBen).toHaveAttribute("data-direction", "up");
    await expect(ofBen).toHaveAccessibleName(/^Poor connection: .*(lost|stand still).* from ben/);
    await expect(ben.page.getByTestId("connection")).toHaveText(/^Your connection is poor: .+\.$/);
    await expect(ownOf(ada)).toHaveAttribute("data-level", FINE);
    await expect(ada.page.getByTestId("connection")).toBeEmpty();
    await ofBen.hover();
    await expect(ada.page.getByRole("tooltip")).toHaveText(/^Poor connection: /);
    await ada.isAccessible("a call with a poor line");
    await ben.isAccessible("a call on a poor line");
    if (process.env.PICTURES) {
      await ada.page.screenshot({ path: `${process.env.PICTURES}/quality-${kind}-other.png` });
      await ben.page.screenshot({ path: `${process.env.PICTURES}/quality-${kind}-own.png` });
      await ben.page.getByTestId("close-panel").click();
      await ben.page.setViewportSize({ width: 360, height: 740 });
      await ben.page.screenshot({ path: `${process.env.PICTURES}/quality-${kind}-narrow.png` });
    }

    road.losses.up = 0;
    await expect(ofBen).toHaveAttribute("data-level", FINE);
    await expect(ben.page.getByTestId("connection")).toBeEmpty();
    road.close();
  });
}
