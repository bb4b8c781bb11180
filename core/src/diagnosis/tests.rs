use super::Diagnosis;

#[test]
fn exit_codes_of_the_shell_and_of_signals_have_their_own_causes() {
    let codes = [126, 127, 137, 139, 143].map(|code| Diagnosis::from_exit_code(code).code);
    assert_eq!(codes, ["notExecutable", "commandNotFound", "killed", "segmentationFault", "terminated"]);
}

#[test]
fn another_exit_code_is_named_in_the_text() {
    let diagnosis = Diagnosis::from_exit_code(3);
    assert_eq!(diagnosis.code, "exitCode");
    assert_eq!(
        diagnosis.to_string(),
        "the program exited with code 3: read the log of the task; the exit code is the program's own"
    );
}

#[test]
fn stored_diagnosis_is_read_back() {
    let written = Diagnosis::from_exit_code(-1);
    let text = serde_json::to_string(&written).unwrap();
    assert_eq!(serde_json::from_str::<Diagnosis>(&text).unwrap(), written);
    assert!(!text.contains("link"), "{text}");
}
