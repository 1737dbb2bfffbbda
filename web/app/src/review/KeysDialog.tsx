import { useTranslation } from "react-i18next";
import { Dialog } from "../ui.tsx";
import { useLetters } from "./keys.ts";

export function KeysDialog({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const [letters, setLetters] = useLetters();
  const keys: [string[], string][] = [
    [["j", "↓"], t("review.keys.down")],
    [["k", "↑"], t("review.keys.up")],
    [[t("review.keys.enter")], t("review.keys.open")],
    [["s"], t("review.keys.evidence")],
    [["g"], t("review.keys.grey")],
    [["d"], t("review.keys.dismiss")],
    [["t"], t("review.keys.stopTrack")],
    [["r"], t("review.keys.remove")],
    [["b"], t("review.keys.ban")],
    [["e"], t("review.keys.escalate")],
    [["n"], t("review.keys.next")],
    [[t("review.keys.escape")], t("review.keys.back")],
    [["?"], t("review.keys.help")],
  ];
  return (
    <Dialog title={t("review.keys.title")} onClose={onClose}>
      <dl className="grid grid-cols-[auto_1fr] items-center gap-x-4 gap-y-1.5" data-testid="keys-list">
        {keys.map(([names, meaning]) => (
          <div key={names[0]} className="col-span-2 grid grid-cols-subgrid">
            <dt className="flex gap-1">
              {names.map((name) => (
                <kbd
                  key={name}
                  className="min-w-8 rounded-md border border-line bg-sunken px-1.5 text-center text-sm leading-6"
                >
                  {name}
                </kbd>
              ))}
            </dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
      <label className="mt-4 flex min-h-11 items-center gap-3">
        <input
          type="checkbox"
          className="size-6 accent-accent"
          checked={letters}
          onChange={(event) => setLetters(event.target.checked)}
          data-testid="letters"
        />
        {t("review.keys.letters")}
      </label>
    </Dialog>
  );
}
