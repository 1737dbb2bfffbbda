import type { RoomInfo } from "@parlor/sdk";
import { useTranslation } from "react-i18next";
import { keptWords } from "./SettingsPanel.tsx";
import { useCategoryWord } from "./words.ts";

/** What the room is like, for those who do not change it. */
export function RoomFacts({ room }: { room: RoomInfo }) {
  const { t, i18n } = useTranslation();
  const word = useCategoryWord();
  const day = new Intl.DateTimeFormat(i18n.language, { dateStyle: "medium" });
  const { category, contentLevel, description, retention, slowModeS } = room.settings;
  const facts: [string, string][] = [
    [t("rooms.kindLabel"), t(`rooms.kind.${room.kind}`)],
    [t("create.visibility"), t(`rooms.visibilityHint.${room.visibility}`)],
    ...(category ? [[t("rooms.categoryLabel"), word(category)] as [string, string]] : []),
    [t("rooms.levelLabel"), t(`rooms.level.${contentLevel}`)],
    [t("rooms.retention"), keptWords(retention, t)],
    ...(slowModeS > 0
      ? [[t("rooms.slowMode"), t("rooms.seconds", { count: slowModeS })] as [string, string]]
      : []),
    [t("rooms.since"), day.format(new Date(room.createdAt))],
  ];
  return (
    <div className="grid gap-4">
      {description ? <p className="whitespace-pre-wrap wrap-anywhere">{description}</p> : null}
      <dl className="grid gap-3">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt className="text-sm text-soft">{name}</dt>
            <dd className="font-medium">{value}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}
