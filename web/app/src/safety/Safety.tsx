import { createContext, type ReactNode, useContext, useState } from "react";
import { useTranslation } from "react-i18next";
import { sentence } from "../errors.ts";
import { useBlocking } from "./blocks.ts";
import { ReportDialog } from "./ReportDialog.tsx";

export interface Person {
  userId: string;
  nickname: string;
}

/** What is reported: somebody, or what they wrote. */
export interface ReportTarget extends Person {
  roomId: string;
  messageId?: string;
}

interface SafetyActs {
  report: (target: ReportTarget) => void;
  block: (person: Person, blocked: boolean) => void;
}

const Context = createContext<SafetyActs | null>(null);

interface SafetyProps {
  /** What became of it, for the page to show. */
  onNotice: (notice: string) => void;
  onBlocked?: (person: Person, blocked: boolean) => void;
  onReported?: (target: ReportTarget) => void;
  children: ReactNode;
}

/** Lets everything inside report and block. The dialog belongs to the page: it stays when a tile or a message goes. */
export function Safety({ onNotice, onBlocked, onReported, children }: SafetyProps) {
  const { t } = useTranslation();
  const setBlocked = useBlocking();
  const [target, setTarget] = useState<ReportTarget | null>(null);
  const block = async (person: Person, blocked: boolean) => {
    try {
      await setBlocked(person.userId, blocked);
      onBlocked?.(person, blocked);
      onNotice(t(blocked ? "safety.blocked" : "safety.unblocked", { name: person.nickname }));
    } catch (error) {
      onNotice(sentence(error));
    }
  };
  return (
    <Context value={{ report: setTarget, block: (person, blocked) => void block(person, blocked) }}>
      {children}
      {target ? (
        <ReportDialog
          target={target}
          onReported={() => onReported?.(target)}
          onBlocked={() => onBlocked?.(target, true)}
          onClose={() => setTarget(null)}
        />
      ) : null}
    </Context>
  );
}

export function useSafety(): SafetyActs {
  const safety = useContext(Context);
  if (!safety) throw new Error("useSafety needs a Safety around it");
  return safety;
}
