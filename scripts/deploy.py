"""Parses Terraform and checks the task definition against AWS's own description of RegisterTaskDefinition."""

import json
import pathlib
import sys

import botocore.session
import botocore.validate
import hcl2

faults = []

files = sorted(pathlib.Path("deploy/terraform").glob("*.tf"))
text = ""
for file in files:
    try:
        with file.open() as stream:
            hcl2.load(stream)
        text += file.read_text()
    except Exception as error:  # the parser has many kinds
        faults.append(f"{file}: {error}")
for line in text.splitlines():
    name = line.split('"')[1] if line.startswith('variable "') else None
    if name and f"var.{name}" not in text:
        faults.append(f"deploy/terraform: variable {name} is not used")

model = botocore.session.get_session().get_service_model("ecs")
shape = model.operation_model("RegisterTaskDefinition").input_shape
definition = json.loads(pathlib.Path("deploy/task-definition.json").read_text())
report = botocore.validate.ParamValidator().validate(definition, shape)
if report.has_errors():
    faults.append(f"deploy/task-definition.json: {report.generate_report()}")

if not files:
    faults.append("deploy/terraform: no files")
for fault in faults:
    print(fault, file=sys.stderr)
print(f"{'failed' if faults else 'ok'} deploy/terraform ({len(files)} files), deploy/task-definition.json")
sys.exit(bool(faults))
