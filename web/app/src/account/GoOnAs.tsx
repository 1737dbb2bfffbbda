import { useTranslation } from "react-i18next";
import { parlor } from "../session.tsx";
import { Avatar } from "./Avatar.tsx";

/** Whom this browser still keeps, when this tab is nobody any more. */
export function GoOnAs() {
  const { t } = useTranslation();
  const { guests } = parlor;
  const kept = [...(guests?.main ? [guests.main] : []), ...(guests?.all ?? [])];
  if (kept.length === 0) return null;
  const goOn = (id: string) => {
    guests?.goOnAs(id === guests.main?.id ? null : id);
    location.reload();
  };
  return (
    <div className="mb-5 grid gap-2">
      <p className="text-sm font-medium text-soft">{t("account.goOn")}</p>
      <ul className="flex flex-wrap gap-2">
        {kept.map(({ id, nickname }) => (
          <li key={id}>
            <button
              type="button"
              aria-label={t("account.goOnAs", { name: nickname })}
              onClick={() => goOn(id)}
              className="flex min-h-11 items-center gap-2 rounded-full border border-line bg-surface py-1 pr-4 pl-1 font-medium hover:bg-sunken"
              data-testid="go-on-as"
            >
              <Avatar name={nickname} />
              <span className="max-w-40 truncate">{nickname}</span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
