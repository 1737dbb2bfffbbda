import type { Evidence, FrozenMessages } from "@parlor/sdk";
import { useQuery } from "@tanstack/react-query";
import { EyeOff } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Alert, Button } from "../ui.tsx";
import { desk } from "./desk.ts";
import { useKeys } from "./keys.ts";
import { Scores } from "./Scores.tsx";
import { Section } from "./Section.tsx";
import { useTimes } from "./words.ts";

const GREY = "parlor.review.grey";

/** What was kept. Nothing of it is fetched before somebody asks to see it. */
export function EvidencePanel({ evidence, label }: { evidence: Evidence[]; label: string | null }) {
  const { t } = useTranslation();
  const [shown, setShown] = useState<ReadonlySet<string>>(new Set());
  const [grey, setGrey] = useState(() => localStorage.getItem(GREY) !== null);
  const list = useRef<HTMLUListElement>(null);

  const toggle = (id: string) => {
    const next = new Set(shown);
    if (!next.delete(id)) next.add(id);
    setShown(next);
  };
  const toggleGrey = () => {
    if (grey) localStorage.removeItem(GREY);
    else localStorage.setItem(GREY, "1");
    setGrey(!grey);
  };
  // The one with the focus; else the next one that is hidden; else away with all of them.
  const toggleNext = () => {
    const focused = document.activeElement?.closest<HTMLElement>("[data-evidence]")?.dataset.evidence;
    const next = focused ?? evidence.find(({ evidenceId }) => !shown.has(evidenceId))?.evidenceId;
    if (next) toggle(next);
    else setShown(new Set());
  };
  useKeys({ s: toggleNext, g: toggleGrey });

  return (
    <Section title={t("review.evidence.title")}>
      {evidence.length === 0 ? <p className="text-soft">{t("review.evidence.none")}</p> : null}
      {evidence.some(({ kind }) => kind === "frame") ? (
        <label className="mb-2 flex min-h-11 w-fit items-center gap-3">
          <input
            type="checkbox"
            className="size-6 accent-accent"
            checked={grey}
            onChange={toggleGrey}
            data-testid="grey"
          />
          {t("review.evidence.grey")}
        </label>
      ) : null}
      <ul ref={list} className="grid gap-4">
        {evidence.map((piece, index) => (
          <Piece
            key={piece.evidenceId}
            piece={piece}
            number={index + 1}
            shown={shown.has(piece.evidenceId)}
            grey={grey}
            label={label}
            onToggle={() => toggle(piece.evidenceId)}
          />
        ))}
      </ul>
    </Section>
  );
}

interface PieceProps {
  piece: Evidence;
  number: number;
  shown: boolean;
  grey: boolean;
  label: string | null;
  onToggle: () => void;
}

function Piece({ piece, number, shown, grey, label, onToggle }: PieceProps) {
  const { t } = useTranslation();
  const { at } = useTimes();
  const { evidenceId, kind, takenAt, expiresAt, scores, threshold, model } = piece;
  return (
    <li
      className="grid items-start gap-3 sm:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]"
      data-testid="evidence"
      data-evidence={evidenceId}
      data-kind={kind}
      data-shown={shown}
    >
      <div className="grid gap-2">
        {shown ? (
          kind === "frame" ? (
            <Picture piece={piece} number={number} grey={grey} />
          ) : (
            <Messages piece={piece} />
          )
        ) : (
          <Hidden />
        )}
        <Button
          tone="plain"
          aria-label={t(shown ? "review.evidence.hideNumber" : "review.evidence.showNumber", { number })}
          onClick={onToggle}
          data-testid="show"
        >
          {t(shown ? "review.evidence.hide" : "review.evidence.show")}
        </Button>
      </div>
      <div className="grid gap-3">
        {scores ? <Scores scores={scores} label={label} threshold={threshold ?? null} /> : null}
        <p className="text-sm text-soft wrap-anywhere">
          <span className="block">{t("review.evidence.takenAt", { time: at(takenAt) })}</span>
          <span className="block">{t("review.evidence.expiresAt", { time: at(expiresAt) })}</span>
          {model ? (
            <span className="block" title={model.sha256}>
              {t("review.evidence.model", { name: model.name })}
            </span>
          ) : null}
        </p>
      </div>
    </li>
  );
}

/** In place of what is not shown: a blur of nothing, since nothing has been fetched. */
function Hidden() {
  const { t } = useTranslation();
  return (
    <div className="relative grid aspect-video place-items-center overflow-hidden rounded-xl bg-tile text-center text-white">
      <div
        aria-hidden
        className="absolute -inset-8 bg-linear-to-br from-slate-600 via-slate-800 to-slate-500 blur-2xl"
      />
      <p className="relative grid justify-items-center gap-1 p-3">
        <EyeOff aria-hidden className="size-7" />
        <span>{t("review.evidence.hidden")}</span>
        <span className="text-sm">{t("review.evidence.logged")}</span>
      </p>
    </div>
  );
}

function Picture({ piece, number, grey }: { piece: Evidence; number: number; grey: boolean }) {
  const { t } = useTranslation();
  const { at } = useTimes();
  const { blob, failed } = useBytes(piece.evidenceId);
  const url = useObjectUrl(blob);
  const [broken, setBroken] = useState(false);
  if (failed || broken) return <Alert>{t("review.evidence.unreadable")}</Alert>;
  return (
    <div className="overflow-hidden rounded-xl bg-tile" aria-busy={url === null}>
      {url ? (
        <img
          src={url}
          alt={t("review.evidence.alt", { number, time: at(piece.takenAt) })}
          width={piece.width ?? undefined}
          height={piece.height ?? undefined}
          className={`mx-auto h-auto max-h-112 w-full object-contain ${grey ? "grayscale" : ""}`}
          onError={() => setBroken(true)}
          data-testid="picture"
        />
      ) : (
        <div className="aspect-video" />
      )}
    </div>
  );
}

function Messages({ piece }: { piece: Evidence }) {
  const { t } = useTranslation();
  const { at } = useTimes();
  const { blob, failed } = useBytes(piece.evidenceId);
  const { data, error } = useQuery({
    queryKey: ["review", "evidence-text", piece.evidenceId],
    queryFn: async () => JSON.parse((await blob?.text()) ?? "") as FrozenMessages,
    enabled: blob !== null,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
    retry: false,
  });
  if (failed || error) return <Alert>{t("review.evidence.unreadable")}</Alert>;
  return (
    <ol className="grid gap-2 rounded-xl bg-sunken p-3" data-testid="messages" aria-busy={data === undefined}>
      {data?.messages.map(({ id, sender, content, createdAt }) => {
        const reported = id === data.reportedId;
        return (
          <li
            key={id}
            className={`wrap-anywhere ${reported ? "rounded-lg border border-danger bg-surface p-2" : ""}`}
            data-reported={reported}
          >
            <p className="flex flex-wrap items-baseline gap-x-2">
              <span className="font-semibold">{sender.nickname}</span>
              <time dateTime={createdAt} className="text-xs text-soft">
                {at(createdAt)}
              </time>
              {reported ? (
                <span className="text-sm text-danger-ink">{t("review.evidence.reported")}</span>
              ) : null}
            </p>
            <p className="whitespace-pre-wrap">{content.text}</p>
          </li>
        );
      })}
    </ol>
  );
}

/** The evidence itself, fetched once for as long as it is shown. */
function useBytes(evidenceId: string): { blob: Blob | null; failed: boolean } {
  const [bytes, setBytes] = useState<{ blob: Blob | null; failed: boolean }>({ blob: null, failed: false });
  useEffect(() => {
    let gone = false;
    desk.evidence(evidenceId).then(
      (blob) => gone || setBytes({ blob, failed: false }),
      () => gone || setBytes({ blob: null, failed: true }),
    );
    return () => {
      gone = true;
    };
  }, [evidenceId]);
  return bytes;
}

/** A name for bytes that an <img> can show. Revoked with the component: the picture is then nowhere in the page. */
function useObjectUrl(blob: Blob | null): string | null {
  const [url, setUrl] = useState<string | null>(null);
  useEffect(() => {
    if (!blob) return;
    const made = URL.createObjectURL(blob);
    setUrl(made);
    return () => {
      setUrl(null);
      URL.revokeObjectURL(made);
    };
  }, [blob]);
  return url;
}
