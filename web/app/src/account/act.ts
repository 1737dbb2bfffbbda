import { ParlorError } from "@parlor/sdk";
import { useState } from "react";
import { parlor } from "../session.tsx";
import { accountWords } from "./words.ts";

interface Acting {
  busy: boolean;
  refusal: string | null;
  /** The login has to show a second factor first: ask for a code, and give it to `run`. */
  needsCode: boolean;
  /** True when it is done. */
  run: (work: () => Promise<unknown>, code?: string) => Promise<boolean>;
}

/** Something that the server may refuse, or only allow once a second factor is shown. */
export function useAct(): Acting {
  const [busy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState<string | null>(null);
  const [needsCode, setNeedsCode] = useState(false);
  const run = async (work: () => Promise<unknown>, code?: string) => {
    setBusy(true);
    setRefusal(null);
    try {
      if (needsCode && code) {
        await parlor.accounts.passSecondFactor(code);
        setNeedsCode(false);
      }
      await work();
      return true;
    } catch (error) {
      if (error instanceof ParlorError && error.code === "mfa_required") setNeedsCode(true);
      setRefusal(accountWords(error));
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { busy, refusal, needsCode, run };
}
