import { Search } from "lucide-react";
import { type FormEvent, type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { sentence } from "../errors.ts";
import { Disc } from "../hub/fields.tsx";
import type { Person } from "../safety/Safety.tsx";
import { Alert, Button, Dialog, Spinner } from "../ui.tsx";
import { useKnown } from "./people.ts";

interface PickPeopleProps {
  title: string;
  /** What happens with those who are picked. */
  act: string;
  /** How many may be picked. */
  most: number;
  except?: readonly string[];
  /** Throws what the server says. */
  onPick: (people: Person[]) => Promise<void>;
  onClose: () => void;
  children?: ReactNode;
}

/** Some of the people whom one knows. */
export function PickPeople({ title, act, most, except = [], onPick, onClose, children }: PickPeopleProps) {
  const { t } = useTranslation();
  const { people, isPending } = useKnown();
  const [words, setWords] = useState("");
  const [picked, setPicked] = useState<Person[]>([]);
  const [problem, setProblem] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const shown = people.filter(
    ({ userId, nickname }) =>
      !except.includes(userId) && nickname.toLowerCase().includes(words.trim().toLowerCase()),
  );
  const has = (person: Person) => picked.some(({ userId }) => userId === person.userId);
  const toggle = (person: Person) =>
    setPicked(has(person) ? picked.filter(({ userId }) => userId !== person.userId) : [...picked, person]);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      await onPick(picked);
    } catch (error) {
      setProblem(error);
    }
    setBusy(false);
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={(event) => void submit(event)} className="grid gap-4">
        <label className="relative">
          <span className="sr-only">{t("direct.filter")}</span>
          <Search aria-hidden className="absolute top-3 left-3 size-5 text-soft" />
          <input
            type="search"
            className="field pl-10!"
            placeholder={t("direct.filter")}
            value={words}
            onChange={(event) => setWords(event.target.value)}
            data-testid="people-filter"
          />
        </label>
        {isPending ? <Spinner /> : null}
        {!isPending && shown.length === 0 ? (
          <p className="text-soft">{t(people.length === 0 ? "direct.nobody" : "direct.nobodySo")}</p>
        ) : null}
        <fieldset className="max-h-72 overflow-y-auto">
          <legend className="sr-only">{title}</legend>
          {shown.map((person) => (
            <label
              key={person.userId}
              className="flex min-h-12 items-center gap-3 rounded-xl px-2 hover:bg-sunken has-checked:bg-tint"
            >
              <input
                type="checkbox"
                className="size-5 shrink-0 accent-accent"
                checked={has(person)}
                disabled={!has(person) && picked.length >= most}
                onChange={() => toggle(person)}
                data-testid="pick"
                data-nickname={person.nickname}
              />
              <Disc name={person.nickname} size="size-8" />
              <span className="min-w-0 truncate">{person.nickname}</span>
            </label>
          ))}
        </fieldset>
        {children}
        {problem ? <Alert>{sentence(problem)}</Alert> : null}
        <div className="flex justify-end gap-2">
          <Button tone="plain" onClick={onClose}>
            {t("common.cancel")}
          </Button>
          <Button type="submit" disabled={picked.length === 0 || busy} data-testid="pick-done">
            {act}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
