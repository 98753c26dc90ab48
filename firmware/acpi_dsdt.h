/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * acpi_dsdt.h - the devices of the machine in AML, for acpi.c alone.
 */
#ifndef TVMM_FIRMWARE_ACPI_DSDT_H
#define TVMM_FIRMWARE_ACPI_DSDT_H

#include "acpi.h"
#include "aml.h"

/* Writes the definition block behind a table header.  D has been checked. */
void acpi_dsdt_body(struct aml *a, const struct acpi_desc *d);

#endif
